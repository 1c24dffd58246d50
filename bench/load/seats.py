"""The users of a process: which region each belongs to, and what it works with.

Locust spawns users of one class, because their regions are our affair: each takes the next seat.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import gevent

from bench.db.retry import RetryPolicy
from bench.db.session import Effects, Session
from bench.load import locust
from bench.load.gateways import application_name, gateway_connector
from bench.load.plan import Plan
from bench.load.user import NAME_SESSION, Equipment, ShopUser, Source
from bench.metrics.recorder import Recorder

USER_CLASS = "Shopper"
"""What Locust knows our users by."""


@dataclass(slots=True)
class Seats:
    """Seats by region, in the order in which users are spawned; ``failed`` is told what a user raised."""

    plan: Plan
    source: Source
    recorder: Recorder
    failed: Callable[[BaseException], None]
    users: dict[str, int] = field(default_factory=dict)
    """How many there are, by region."""
    connected: int = 0
    """How many have had their connection."""
    origin_ns: int = 0
    _kits: dict[str, Equipment] = field(default_factory=dict)
    _turns: dict[str, int] = field(default_factory=dict)
    _order: list[str] = field(default_factory=list)
    _taken: int = 0

    @property
    def total(self) -> int:
        """All seats."""
        return len(self._order)

    def user_class(self) -> type[ShopUser]:
        """Return the class that Locust spawns: each new user takes the next seat, and with it its region."""
        user_class = self.plan.user_class

        def begin(user: Any, environment: locust.env.Environment) -> None:
            user.equipment = self._next_kit()
            user_class.__init__(user, environment)

        members = {"abstract": False, "wait_time": lambda _: 0, "__init__": begin}
        return type(USER_CLASS, (user_class,), members)

    def add(self, users: Mapping[str, int]) -> None:
        """Make room for more users, by region; they sit down as Locust spawns them."""
        for region, count in users.items():
            self.users[region] = self.users.get(region, 0) + count
            self._order += [region] * count
            if region not in self._kits:
                self._kits[region] = self._kit(region)

    def begin(self, origin_ns: int) -> None:
        """Take note of when the first phase begins (``perf_counter_ns``)."""
        self.origin_ns = origin_ns
        for kit in self._kits.values():
            kit.origin_ns = origin_ns

    def _next_kit(self) -> Equipment:
        # Beyond the seats only where Locust has replaced a user that gave up: it sits where the first ones do.
        region = self._order[self._taken % len(self._order)]
        self._taken += 1
        return self._kits[region]

    def _kit(self, region: str) -> Equipment:
        retry = self.plan.scenario.retry
        return Equipment(
            region=region,
            connect=partial(self._session, region),
            source=self.source,
            recorder=self.recorder,
            policy=RetryPolicy(retry.max_attempts, retry.base_ms, retry.cap_ms, retry.budget),
            effects=Effects(time.perf_counter_ns, gevent.sleep),
            state=self.plan.state,
            phases=tuple(phase.name for phase in self.plan.scenario.phases),
            origin_ns=self.origin_ns,
            failed=self.failed,
            connected=self._user_connected,
            application=application_name(self.plan.run_id, region) if NAME_SESSION in self.plan.catalogue else "",
        )

    def _session(self, region: str, user: ShopUser) -> Session:
        # Each begins at another gateway, and goes on to the next whenever it needs a connection.
        turn = self._turns[region] = self._turns.get(region, -1) + 1
        connector = gateway_connector(self.plan.target, region, self.plan.scenario, self.plan.run_id, turn)
        effects = Effects(time.perf_counter_ns, gevent.sleep)
        return Session(region, connector, self.plan.catalogue, user, effects, self.plan.target.distance_s(region))

    def _user_connected(self) -> None:
        self.connected += 1


def hush_locust() -> None:
    """Keep Locust from warning of high spawn rates and from printing what users raise: we tell of errors ourselves."""
    logging.getLogger("locust").setLevel(logging.CRITICAL)
