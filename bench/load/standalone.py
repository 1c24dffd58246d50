"""Our users under Locust's own command and flags: ``locust -f workloads/locustfile.py --host postgresql://…``.

Users come and go as Locust is told and think between sessions, so it is a closed model, without a schedule, a run store, an
audit or a verdict: ``bench run`` has these.  Locust's statistics and web page show the transactions by name and region.
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import cycle
from random import Random
from typing import Any, cast

import gevent

from bench.db.catalogue import Catalogue, read_package
from bench.db.connection import open_or_explain
from bench.db.dialects import dialect_of
from bench.db.retry import RetryPolicy
from bench.db.session import Effects, Session
from bench.errors import BenchError, UsageError
from bench.load import locust
from bench.load.gateways import gateway_connector
from bench.load.locust_stats import feed
from bench.load.user import Arrival, Equipment, Setup, ShopUser
from bench.load.waiting import install_native_wait
from bench.metrics.recorder import UNFINISHED, Recorder
from bench.scenario.model import DEFAULT_REGIONS, Scenario
from bench.target.base import Target

_LOG = logging.getLogger("bench")
"""Locust shows errors where it shows its log."""
_PHASE = "locust"
_TAG = "10c057000000"
"""Ends the idempotency keys, as a run's tag does."""


def shoppers(user_class: type[ShopUser], weights: Mapping[str, float]) -> type[ShopUser]:
    """Return a user class for Locust's command that plays the sessions of another, in proportion to their weights.

    UsageError when a weight names a session that the class does not have.
    """
    unknown = sorted(set(weights) - set(user_class.sessions))
    if unknown:
        raise UsageError(
            f"{user_class.__name__} has no session '{unknown[0]}'",
            hint=f"its sessions are {', '.join(user_class.sessions)}",
        )
    stage = _Stage(user_class, dict(weights))
    hooks: Any = locust.events
    hooks.init_command_line_parser.add_listener(_add_options)
    hooks.init.add_listener(stage.open)

    def begin(self: Any, environment: locust.env.Environment) -> None:
        self.equipment = stage.next_kit()
        user_class.__init__(self, environment)

    return type("Shopper", (user_class,), {"abstract": False, "__init__": begin, "wait_time": lambda _: 0})


def _add_options(parser: Any) -> None:
    group = parser.add_argument_group("shop options")
    group.add_argument("--shop-regions", default=",".join(DEFAULT_REGIONS), help="regions of the users, in turn")
    group.add_argument("--shop-think-time", type=float, default=1.0, help="mean seconds between a user's sessions")
    group.add_argument("--shop-set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the workload")


class _Endless:
    """Sessions for as long as Locust lets a user live."""

    busy = 0

    def __init__(self, weights: Mapping[str, float], think_s: float, seed: int) -> None:
        self._names, self._weights = list(weights), list(weights.values())
        self._think_s, self._number = think_s, 0
        self._rng = Random(seed)

    def next(self, region: str) -> Arrival | None:  # noqa: ARG002
        """Return the next session after a think time (exponential)."""
        if self._think_s:
            gevent.sleep(self._rng.expovariate(1 / self._think_s))
        self._number += 1
        name = self._rng.choices(self._names, self._weights)[0]
        return Arrival(self._number, name, 0, time.perf_counter_ns(), self._rng.getrandbits(62))

    def done(self, region: str) -> None:
        """Nothing waits for a user."""


class _Stage:
    """What all users of a process share, made when Locust has read its options."""

    def __init__(self, user_class: type[ShopUser], weights: dict[str, float]) -> None:
        self._class, self._weights = user_class, weights
        self._recorder = Recorder((_PHASE,))
        self._environment: Any = None
        self._kits: Any = None

    def open(self, environment: Any, **_: Any) -> None:
        """Prepare the users of this process; their transactions go into Locust's statistics once a second."""
        self._environment = environment
        if isinstance(environment.runner, locust.runners.MasterRunner):
            return
        install_native_wait()
        try:
            self._kits = cycle(self._prepare())
        except BenchError as error:
            parts = [error.message, error.cause, error.hint]
            _LOG.error("\n  ".join(part for part in parts if part))
            raise SystemExit(error.exit_code) from None
        gevent.spawn(self._feed)

    def next_kit(self) -> Equipment:
        """Return the equipment of the next user: the regions take turns."""
        return cast(Equipment, next(self._kits))

    def _prepare(self) -> list[Equipment]:
        given = self._environment.parsed_options
        if not self._environment.host:
            raise UsageError("no database", hint="pass --host postgresql://user@host/database")
        target = self._target(self._environment.host, tuple(given.shop_regions.split(",")))
        scenario = self._scenario(target, given.shop_think_time)
        catalogue = self._catalogue(target)
        settings = dict(pair.partition("=")[::2] for pair in given.shop_set)
        effects = Effects(time.perf_counter_ns, gevent.sleep)
        session = Session(
            target.regions[0],
            gateway_connector(target, target.regions[0], scenario, _PHASE),
            catalogue,
            _Silent(),
            effects,
        )
        try:
            state = self._class.prepare(Setup(session, target.regions, settings, scenario.seed, _TAG))
        finally:
            session.drop()
        source = _Endless(self._weights, scenario.think_time, time.time_ns())
        return [self._kit(target, region, scenario, catalogue, state, source) for region in target.regions]

    def _kit(
        self, target: Target, region: str, scenario: Scenario, catalogue: Catalogue, state: Any, source: _Endless
    ) -> Equipment:
        effects = Effects(time.perf_counter_ns, gevent.sleep)
        connector = gateway_connector(target, region, scenario, _PHASE)
        return Equipment(
            region=region,
            connect=lambda user: Session(region, connector, catalogue, user, effects),
            source=source,
            recorder=self._recorder,
            policy=RetryPolicy(),
            effects=effects,
            state=state,
            phases=(_PHASE,),
            origin_ns=time.perf_counter_ns(),
            failed=self._give_up,
        )

    def _target(self, url: str, regions: tuple[str, ...]) -> Target:
        connection = open_or_explain(url)
        try:
            dialect = dialect_of(connection)
            return Target("url", dialect.name, dialect.version(connection), "", dict.fromkeys(regions, (url,)))
        finally:
            connection.close()

    def _scenario(self, target: Target, think_s: float) -> Scenario:
        # Only the settings of connections are taken from it: Locust decides on the load.
        return Scenario.model_validate(
            {
                "name": _PHASE,
                "question": "Locust's own.",
                "workload": {"user": f"{self._class.__module__}:{self._class.__name__}"},
                "model": "closed",
                "users": 1,
                "think_time": think_s,
                "phases": [{"name": _PHASE, "duration": 1.0, "rate": self._weights}],
                "regions": [{"name": name} for name in target.regions],
            }
        )

    def _catalogue(self, target: Target) -> Catalogue:
        folders = (("bench.db", "sql"), *self._class.statement_folders)
        return Catalogue.load([read_package(*folder) for folder in folders], target.dialect)

    def _feed(self) -> None:
        number = 0
        while True:
            gevent.sleep(1.0)
            number += 1
            batch = self._recorder.take(number, float(number), time.time())
            frame = gevent.get_hub().threadpool.apply(partial(batch.fold, None, {}))
            # Whom Locust takes away in the middle of a transaction, it has told to go: that is no failure of the shop's.
            ended = tuple(cell for cell in frame.transactions if cell.outcome != UNFINISHED)
            feed(self._environment.stats, replace(frame, transactions=ended))

    def _give_up(self, error: BaseException) -> None:
        if isinstance(error, gevent.GreenletExit) or self._environment.process_exit_code:
            return
        _LOG.error(error.message if isinstance(error, BenchError) else repr(error))
        self._environment.process_exit_code = 1
        gevent.spawn(self._environment.runner.quit)


class _Silent:
    """An observer of the session that prepares."""

    def statement(self, name: str, started_ns: int, ended_ns: int, ok: bool) -> None:
        """Record nothing."""
