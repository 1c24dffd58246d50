"""The base of every shopper: a Locust user with one connection, whose sessions are timed from when they should have begun.

A workload subclasses ``ShopUser``, names its ``sessions`` and runs each business action through ``transact``.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any, ClassVar, NamedTuple, Protocol

import gevent

from bench.db.connection import DriverError
from bench.db.retry import Done, Retrier, RetryPolicy, Transaction
from bench.db.session import CONNECT, Effects, Session
from bench.load import locust
from bench.metrics.frame import (
    ATTEMPT,
    COMMIT_UNKNOWN,
    LOST_CONNECTION,
    Contender,
    Event,
    JournalEntry,
    OutcomeKind,
    SlowSample,
)
from bench.metrics.recorder import UNFINISHED, Recorder, RetryLabel, StatementLabel, TransactionLabel
from bench.units import NS_PER_MS, NS_PER_S

NAME_SESSION = "name_session"
"""The statement that names a session after its phase; a dialect without it has no use for the name."""


class Arrival(NamedTuple):
    """One session of the schedule: which, in which phase, and when it should begin (``perf_counter_ns``)."""

    number: int
    session: str
    phase: int
    due_ns: int
    seed: int
    dispatched_ns: int = 0
    """When it was handed to the pool of users; 0 where nothing hands it out (closed model)."""


@dataclass(frozen=True, slots=True)
class Setup:
    """What a workload's ``prepare`` may use, before any user is started."""

    session: Session
    regions: tuple[str, ...]
    settings: Mapping[str, Any]
    seed: int
    run_tag: str
    """Twelve hex digits that end every idempotency key of the run."""
    writes: bool = True
    """False in worker processes: another process has prepared the data, and all have to find the same state in it."""


class Source(Protocol):
    """Where a user gets its next session from."""

    def next(self, region: str) -> Arrival | None:
        """Return the next arrival of the region, waiting for it; None when there will be no more."""
        ...

    def done(self, region: str) -> None:
        """Take note that the user is free again."""
        ...


@dataclass(slots=True)
class Equipment:
    """What the engine gives to each user of a region."""

    region: str
    connect: Callable[["ShopUser"], Session]
    source: Source
    recorder: Recorder
    policy: RetryPolicy
    effects: Effects
    state: Any
    phases: tuple[str, ...] = ()
    origin_ns: int = 0
    failed: Callable[[BaseException], None] = field(default=lambda _: None)
    connected: Callable[[], None] = field(default=lambda: None)
    application: str = ""
    """How sessions name themselves where the server keeps its statistics by that name; empty where it does not."""


class ShopUser(locust.User):
    """A shopper of one region.  Subclasses set ``sessions``: name → method that takes the arrival's random numbers."""

    abstract = True
    equipment: ClassVar[Equipment]
    statement_folders: ClassVar[tuple[tuple[str, str], ...]] = (("bench.workloads", "sql"),)
    """(package, folder) of the SQL files that the catalogue is read from."""
    sessions: ClassVar[Mapping[str, str]] = {}
    """Session name → name of the method that plays it."""
    hot_sessions: ClassVar[frozenset[str]] = frozenset()
    """Sessions that come for what is on sale: the report asks whether the others felt them."""
    exchanges: ClassVar[Mapping[str, int]] = {}
    """Session name → how many statements it typically sends, BEGIN and COMMIT among them; sizes the pool of users."""
    settings_model: ClassVar[type[Any] | None] = None
    """A pydantic model that checks ``[workload.settings]`` before the run."""

    session: Session
    state: Any

    def __init__(self, environment: locust.env.Environment) -> None:
        super().__init__(environment)
        kit = self.equipment
        self.region = kit.region
        self.state = kit.state
        self._transaction = ""
        self._phase = 0
        self._named_phase = -1
        self._lag_ns = 0
        self._dispatch_ns = 0
        self._due_ns = 0
        self._has_failed = False
        self._trail: list[tuple[str, int, bool]] = []
        self._answered_ns = 0
        # The numbers of statement labels by transaction and statement, so that no label is made twice.
        self._labels: dict[str, dict[str, int]] = {}
        self._own_labels: dict[str, int] = {}
        self._reasons: list[str] = []
        self._attempts_ns = 0
        self.session = kit.connect(self)
        self._retrier = Retrier(self.session, kit.policy, kit.effects, self)

    @classmethod
    def prepare(cls, setup: Setup) -> Any:  # noqa: ARG003
        """Return the state that all users share; runs once, before the first arrival."""
        return None

    @classmethod
    def wish(cls, state: Any, region: str, session: str, rng: Random) -> str | None:  # noqa: ARG003
        """Return the key that a hot session, dropped before it began, would have given to ``contend``; None without one."""
        return None

    def on_start(self) -> None:
        """Connect before the first arrival, so that connecting is not part of anyone's response time."""
        try:
            self.session.connect()
        except BaseException as error:
            self.equipment.failed(error)
            # Not raised: Locust would print a traceback for each of many users.
            raise locust.exception.StopUser from error
        self.equipment.connected()

    def on_stop(self) -> None:
        """Close the connection."""
        self.session.drop()

    @locust.task
    def shop(self) -> None:
        """Play sessions until there are no more: one loop inside one Locust task."""
        source = self.equipment.source
        while True:
            arrival = self._next(source)
            if arrival is None:
                raise locust.exception.StopUser
            try:
                self._play(arrival)
            except Exception as error:
                self.equipment.failed(error)
                raise locust.exception.StopUser from error
            finally:
                source.done(self.region)

    def _next(self, source: Source) -> Arrival | None:
        try:
            return source.next(self.region)
        except Exception as error:
            self.equipment.failed(error)
            raise locust.exception.StopUser from error

    def _name_phase(self, phase: int) -> None:
        """Have the server's statistics tell phases apart; the first session of a phase waits for it, as part of its lag."""
        self._named_phase, self._phase = phase, phase
        self._transaction = ""
        self._own_labels = self._labels.setdefault("", {})
        with suppress(DriverError):
            self.session.execute(NAME_SESSION, {"name": f"{self.equipment.application}/{self.equipment.phases[phase]}"})

    def _play(self, arrival: Arrival) -> None:
        if self.equipment.application and arrival.phase != self._named_phase:
            self._name_phase(arrival.phase)
        started = time.perf_counter_ns()
        self._phase = arrival.phase
        self._due_ns = arrival.due_ns
        self._lag_ns = started - arrival.due_ns
        self._dispatch_ns = max(0, arrival.dispatched_ns - arrival.due_ns) if arrival.dispatched_ns else 0
        self._has_failed = False
        outcome = UNFINISHED
        try:
            getattr(self, self.sessions[arrival.session])(Random(arrival.seed))
            outcome = "failed" if self._has_failed else "ok"
        finally:
            ended = time.perf_counter_ns()
            kind: OutcomeKind = "ok" if outcome == "ok" else "failure"
            label = TransactionLabel(self.region, f"session:{arrival.session}", outcome, kind)
            self.equipment.recorder.transaction(label, self._phase, ended - arrival.due_ns, ended - started, 1)

    def transact(self, name: str, transaction: Transaction, rng: Random) -> Done:
        """Run one business action to its final answer and record it; never raises psycopg.Error.

        Its intended start is when it would have started had the session begun on time, so its response time is its
        service time plus the session's schedule lag.
        """
        self._transaction = name
        labels = self._labels.get(name)
        self._own_labels = self._labels.setdefault(name, {}) if labels is None else labels
        self._trail, self._reasons, self._attempts_ns = [], [], 0
        started = time.perf_counter_ns()
        try:
            done = self._retrier.run(transaction, rng)
        except gevent.GreenletExit:
            # Stopped at the end of the run: it counts as at least this long, it does not vanish.
            self._record(
                name,
                Done(UNFINISHED, "failure", len(self._reasons) + 1, started, time.perf_counter_ns()),
                transaction.key,
            )
            raise
        self._record(name, done, transaction.key)
        if done.outcome == COMMIT_UNKNOWN:
            # The audit has to know when: an order of that time may be there without an acknowledgement.
            self.equipment.recorder.event(Event(self.elapsed_s, COMMIT_UNKNOWN, f"given up: {name}", self.region))
        return done

    def _record(self, name: str, done: Done, key: str) -> None:
        self._has_failed = self._has_failed or done.kind == "failure"
        service = done.ended_ns - done.started_ns
        recorder = self.equipment.recorder
        label = TransactionLabel(self.region, name, done.outcome, done.kind)
        recorder.transaction(label, self._phase, service + self._lag_ns, service, done.attempts)
        response_ms = (service + self._lag_ns) / NS_PER_MS
        if recorder.is_slow(response_ms):
            recorder.slow(self._slow_sample(name, done, response_ms, key))

    def _slow_sample(self, name: str, done: Done, response_ms: float, key: str) -> SlowSample:
        service_ns = done.ended_ns - done.started_ns
        return SlowSample(
            elapsed_s=(done.ended_ns - self.equipment.origin_ns) / NS_PER_S,
            phase=self.equipment.phases[self._phase],
            region=self.region,
            transaction=name,
            outcome=done.outcome,
            response_ms=response_ms,
            service_ms=service_ns / NS_PER_MS,
            attempts=done.attempts,
            statements=tuple(
                (name, took_ns / NS_PER_MS, True) if is_joined else (name, took_ns / NS_PER_MS)
                for name, took_ns, is_joined in self._trail
            ),
            dispatch_ms=self._dispatch_ns / NS_PER_MS,
            wait_ms=(self._lag_ns - self._dispatch_ns) / NS_PER_MS,
            backoff_ms=max(0, service_ns - self._attempts_ns) / NS_PER_MS,
            reasons=tuple(self._reasons),
            key=key,
        )

    def acknowledge(self, entry: JournalEntry) -> None:
        """Put an acknowledged order in the journal."""
        self.equipment.recorder.order(entry)

    def contend(self, key: str, done: Done | None) -> None:
        """Record what became of this session's wish for something scarce; None when it did not get as far as to ask."""
        origin = self.equipment.origin_ns
        outcome, attempts, ended = (
            ("gave_up", 0, time.perf_counter_ns()) if done is None else (done.outcome, done.attempts, done.ended_ns)
        )
        arrived_s, ended_s = (self._due_ns - origin) / NS_PER_S, (ended - origin) / NS_PER_S
        self.equipment.recorder.contender(Contender(self.region, key, arrived_s, ended_s, outcome, attempts))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the run's first phase began."""
        return (time.perf_counter_ns() - self.equipment.origin_ns) / NS_PER_S

    def statement(self, name: str, started_ns: int, ended_ns: int, ok: bool) -> None:
        """Record a statement of this user's session."""
        took_ns = ended_ns - started_ns
        label = self._own_labels.get(name)
        if label is None:
            label = self._label(name)
        self.equipment.recorder.statement(label, self._phase, took_ns, ok)
        # Of an exchange the first alone has a start of its own; the others begin with the answer before theirs.
        self._trail.append((name, took_ns, started_ns == self._answered_ns))
        self._answered_ns = ended_ns

    def attempt(self, started_ns: int, ended_ns: int, ok: bool) -> None:
        """Record one attempt of this user's transaction."""
        took_ns = ended_ns - started_ns
        self._attempts_ns += took_ns
        label = self._own_labels.get(ATTEMPT)
        if label is None:
            label = self._label(ATTEMPT)
        self.equipment.recorder.statement(label, self._phase, took_ns, ok)

    def _label(self, statement: str) -> int:
        label = StatementLabel(self.region, self._transaction, statement)
        number = self._own_labels[statement] = self.equipment.recorder.statement_label(label)
        return number

    def retry(self, statement: str, reason: str, wasted_ns: int, key: str = "") -> None:
        """Record an ended attempt of this user's transaction, and what it contended for."""
        self._reasons.append(reason)
        if reason in LOST_CONNECTION:
            self.equipment.recorder.disconnected(self.region, self.elapsed_s, refused=statement == CONNECT)
        label = RetryLabel(self._phase, self.region, self._transaction, statement, reason, key)
        self.equipment.recorder.retry(label, wasted_ns)
