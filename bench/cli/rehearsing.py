"""Users of a workload outside an engine: each session is played alone, in a transaction that is rolled back."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random
from typing import Any

from bench.db.catalogue import Catalogue
from bench.db.connection import Connection
from bench.db.rehearsal import Enough, Rehearsal, Visit
from bench.db.retry import RetryPolicy
from bench.db.session import Effects, Session
from bench.errors import UsageError
from bench.indexes.survey import Play
from bench.load import locust
from bench.load.user import Equipment, Setup, ShopUser
from bench.metrics.recorder import Recorder

_TAG = "1de7e5000000"
"""Ends the idempotency keys, as a run's tag does."""
_POLICY = RetryPolicy(max_attempts=2, budget_s=1.0)
"""Nobody else is there to be in conflict with."""


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
        home.raise_curtain()
        try:
            state = user_class.prepare(setup)
        finally:
            home.drop()
        self._users = {region: self._user(user_class, region, state) for region in connectors}

    def play(self, play: Play, visit: Visit) -> None:
        """Play a session and undo it; raises what the workload or the driver raises."""
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
