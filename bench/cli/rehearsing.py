"""Users of a workload outside an engine: each session is played alone, in a transaction that is rolled back."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any, TypeVar

from bench.db.catalogue import Catalogue
from bench.db.connection import Connection
from bench.db.rehearsal import Enough, Rehearsal, Spoilt, Visit
from bench.db.retry import RetryPolicy
from bench.db.session import Effects, Session
from bench.errors import TargetError, UsageError
from bench.indexes.survey import Play, Visitors
from bench.load import locust
from bench.load.user import Equipment, Setup, ShopUser
from bench.metrics.recorder import Recorder

T = TypeVar("T")
_TAG = "1de7e5000000"
"""Ends the idempotency keys, as a run's tag does."""
_POLICY = RetryPolicy(max_attempts=2, budget_s=1.0)
"""Nobody else is there to be in conflict with."""
_TAKES = 5
"""CockroachDB may give a transaction up without anybody else, as where a lease moves."""


class Company:
    """A user of each region, on a connection of its own."""

    def __init__(
        self, user_class: type[ShopUser], connectors: Mapping[str, Callable[[], Connection]], catalogue: Catalogue
    ) -> None:
        self._catalogue = catalogue
        self._connectors = connectors
        self._sessions: dict[str, Rehearsal] = {}
        first = next(iter(connectors))
        home = self._session(first)
        setup = Setup(home, tuple(connectors), {}, 1, _TAG, writes=False)
        try:
            state = _repeated("preparing the users", partial(_prepared, home, user_class, setup))
        finally:
            home.drop()
        self._users = {region: self._user(user_class, region, state) for region in connectors}

    def play(self, play: Play, visitors: Visitors) -> None:
        """Play a session and undo it, again when the server gave it up; raises what the workload or the driver raises."""
        _repeated(f"session '{play.session}' in {play.region}", lambda: self._play_once(play, visitors()))

    def _play_once(self, play: Play, visit: Visit) -> None:
        user, session = self._users[play.region], self._sessions[play.region]
        method = getattr(user, user.sessions[play.session])
        session.visit = visit
        session.raise_curtain()
        try:
            with suppress(Enough):
                method(Random(f"{play.seed}/{play.region}/{play.session}"))
        finally:
            session.drop_curtain()

    def rest(self) -> None:
        """Close the connections; the next play opens others."""
        for session in self._sessions.values():
            session.drop()

    def _session(self, region: str) -> Rehearsal:
        return Rehearsal(region, self._connectors[region], self._catalogue, lambda *_: None)

    def _user(self, user_class: type[ShopUser], region: str, state: Any) -> ShopUser:
        def connect(_: ShopUser) -> Session:
            session = self._sessions[region] = self._session(region)
            return session

        effects = Effects(time.perf_counter_ns, lambda _: None)
        kit = Equipment(region, connect, _NoArrivals(), _recorder(), _POLICY, effects, state, ("rehearsal",))
        members: dict[str, Any] = {"abstract": True, "equipment": kit}
        rehearsing: type[ShopUser] = type("Rehearsing", (user_class,), members)
        return rehearsing(locust.env.Environment())


def _prepared(home: Rehearsal, user_class: type[ShopUser], setup: Setup) -> Any:
    home.raise_curtain()
    try:
        return user_class.prepare(setup)
    finally:
        home.drop_curtain()


def _repeated(what: str, take: Callable[[], T]) -> T:
    """Return what a take returns that the server did not give up; TargetError when it gives up each of them."""
    spoilt = None
    for _ in range(_TAKES):
        try:
            return take()
        except Spoilt as error:
            spoilt = error
    raise TargetError(
        f"the server gave a transaction up {_TAKES} times: {what}",
        cause=str(spoilt),
        hint="let nothing else write to this database meanwhile",
    ) from spoilt


class _NoArrivals:
    """Sessions are called by name here."""

    def next(self, region: str) -> None:
        """Nothing arrives."""

    def done(self, region: str) -> None:
        """Nobody waits."""


def _recorder() -> Recorder:
    return Recorder(("rehearsal",))


def require_sessions(user_class: type[ShopUser]) -> tuple[str, ...]:
    """Return the names of the sessions; UsageError for a workload without any."""
    if not user_class.sessions:
        raise UsageError(f"{user_class.__name__} has no sessions to play")
    return tuple(sorted(user_class.sessions))
