"""A session for what is not load: preparing a workload, and accounting after it.  Nothing of it is recorded."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import gevent

from bench.db.catalogue import Catalogue
from bench.db.session import Effects, Session
from bench.load.gateways import gateway_connector
from bench.scenario.model import Scenario
from bench.target.base import Target


@dataclass(frozen=True, slots=True)
class _Silent:
    """An observer of sessions that are not part of the load."""

    def statement(self, name: str, started_ns: int, ended_ns: int, ok: bool) -> None:
        """Record nothing."""


def own_session(target: Target, home: str, scenario: Scenario, run_id: str, catalogue: Catalogue) -> Session:
    """Return a session of a region's gateway; it connects when it is used."""
    effects = Effects(time.perf_counter_ns, gevent.sleep)
    return Session(home, gateway_connector(target, home, scenario, run_id), catalogue, _Silent(), effects)


@contextmanager
def closing_session(session: Session) -> Iterator[Session]:
    """Hand out a session and close its connection afterwards."""
    try:
        yield session
    finally:
        session.drop()
