"""The one retry loop: around the whole transaction, with the same inputs each time.

A conflict is retried after a full-jitter back-off (sleep a uniform share of base · 2^n, capped; Brooker, "Exponential
Backoff And Jitter", AWS Architecture Blog, 2015).  A connection lost while COMMIT is unanswered leaves the outcome unknown,
and so does one lost in a statement outside BEGIN: the caller's ``resolve`` looks it up before anything is repeated.  What
cannot be looked up is repeated only where the caller says that twice does no harm; else it ends as ``commit_unknown``.

While there is no server, attempts fail in microseconds: they would be used up long before a restart is over.  So only
conflicts count against the number of attempts.  Without a connection the loop goes on until the budget of time is spent,
with a back-off of its own that is soon at the cap.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, NamedTuple, Protocol

import psycopg

from bench.db.session import CONNECT, Effects, Session
from bench.db.taxonomy import Refusal
from bench.errors import TargetError
from bench.metrics.frame import COMMIT_UNKNOWN, OutcomeKind
from bench.units import NS_PER_S

OK = "ok"
_LOST = ("reconnect", "ambiguous")
"""Actions on a connection that is gone."""
_CANCELLED, _CANCELLED_ANYHOW = "57014", "query execution canceled"
"""CockroachDB says so of a statement whose time ran out while it committed, whatever became of the commit (deferred function
in ``execStmtInOpenState``, pkg/sql/conn_executor_exec.go).  PostgreSQL, in other words, says it only of what was undone: it
stops that clock before it commits (``finish_xact_command``, postgres.c)."""
_UNDONE = Refusal("undone", "fail")
"""What a business no does to the transaction."""
_DOUBLINGS = 30
"""Beyond any cap; without an end, two to the power of the attempt would become too large for a number."""


class Business(Exception):
    """Raised by a body to undo the transaction and end it with a legitimate no, such as ``sold_out``."""

    def __init__(self, outcome: str) -> None:
        super().__init__(outcome)
        self.outcome = outcome


class Conflict(Exception):
    """Raised by a body that saw another's change and wants the whole transaction repeated.

    ``may_be_done`` says that the change may be this transaction's own, from an attempt whose answer was lost.
    """

    def __init__(self, reason: str, *, may_be_done: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_be_done = may_be_done


class RetryObserver(Protocol):
    """Told of each attempt that did not commit and will be repeated or given up."""

    def retry(self, statement: str, reason: str, wasted_ns: int, key: str) -> None:
        """Record one ended attempt with the time it took and the back-off after it, and what it contended for."""
        ...

    def attempt(self, started_ns: int, ended_ns: int, ok: bool) -> None:
        """Record the time of one attempt, committed or not, without any back-off."""
        ...


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits of the loop; ``max_attempts`` is of those that had a connection, ``budget_s`` counts from the first attempt."""

    max_attempts: int = 12
    base_ms: float = 2.0
    cap_ms: float = 500.0
    budget_s: float = 20.0
    reconnect_ms: float = 25.0

    def reconnect_s(self, failure: int, rng: Random) -> float:
        """Return the sleep after the n-th failure in a row (from 1) to have a connection, in seconds."""
        return rng.uniform(0.0, min(self.cap_ms, self.reconnect_ms * 2.0 ** min(failure, _DOUBLINGS))) / 1000

    def backoff_s(self, attempt: int, rng: Random) -> float:
        """Return the sleep after the n-th attempt (from 1), in seconds."""
        return rng.uniform(0.0, min(self.cap_ms, self.base_ms * 2.0 ** min(attempt, _DOUBLINGS))) / 1000


class Done(NamedTuple):
    """The final answer of a transaction; ``value`` is what the body returned when the kind is ``ok``."""

    outcome: str
    kind: OutcomeKind
    attempts: int
    started_ns: int
    ended_ns: int
    value: Any = None


Body = Callable[[Session], Any]


class Transaction(NamedTuple):
    """A business action: its body, whether it needs BEGIN and COMMIT, and how to look up an unknown outcome.

    A body returns its value, or an ``Outcome`` to commit under another name than ``ok``.
    """

    body: Body
    explicit: bool = True
    resolve: Body | None = None
    """Returns the body's value when an earlier attempt turns out to have happened, else None."""
    key: str = ""
    """What it contends for, such as the SKU of a hot item: retries are kept by it, or by ``session.key`` where the body
    sets that to something narrower."""
    pipelined: bool = False
    """Whether BEGIN travels with the body's first statement, and the body may commit with its last batch."""
    repeatable: bool = False
    """Whether twice does no harm, so that nobody has to know if it happened: what only reads, or finds its work done."""

    @property
    def may_go_on_unknown(self) -> bool:
        """Whether there may be another attempt while an earlier one may have happened."""
        return self.repeatable or self.resolve is not None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Returned by a body that commits something other than what was asked, e.g. a declined payment."""

    name: str
    value: Any = None


@dataclass(slots=True)
class _Tally:
    """A transaction's attempts so far that were not its last."""

    refused: int = 0
    """The server answered them."""
    without: int = 0
    """Those in a row, up to the last, that lost their connection or had none."""

    def add(self, refusal: Refusal) -> None:
        if refusal.action in _LOST:
            self.without += 1
        else:
            self.refused, self.without = self.refused + 1, 0


@dataclass(slots=True)
class Retrier:
    """Runs transactions of one session under a policy."""

    session: Session
    policy: RetryPolicy
    effects: Effects
    observer: RetryObserver

    def run(self, transaction: Transaction, rng: Random) -> Done:
        """Return the final answer; raises TargetError for a refusal that spoils the whole run, never psycopg.Error."""
        clock = self.effects.clock
        started = clock()
        deadline = started + int(self.policy.budget_s * NS_PER_S)
        attempts, unknown = 0, False  # unknown: an earlier COMMIT may have happened
        tally = _Tally()
        while True:
            attempts += 1
            began = clock()
            committed = False
            no: str | None = None
            try:
                value = self._attempt(transaction, unknown)
                committed = True
                return _done(value, attempts, started, clock())
            except Business as answer:
                no, refusal = answer.outcome, _UNDONE
            except Conflict as conflict:
                refusal = Refusal(conflict.reason, "retry")
                unknown = unknown or conflict.may_be_done
            except psycopg.Error as error:
                if _is_ours(error):
                    raise
                refusal = self._meaning(error, transaction)
                self._spoilt(refusal, error)
            finally:
                self.observer.attempt(began, clock(), committed)
            # Not part of the attempt, whatever ended it.
            self._clear(refusal)
            if no is not None:
                return Done(no, "business", attempts, started, clock())
            unknown = unknown or refusal.action == "ambiguous"
            tally.add(refusal)
            is_over = unknown and not transaction.may_go_on_unknown
            pause = None if is_over else self._pause(refusal, tally, deadline, rng)
            wasted = clock() - began + int((pause or 0.0) * NS_PER_S)
            self.observer.retry(self.session.current, refusal.reason, wasted, self.session.key)
            if pause is None:
                outcome, found = self._look_once_more(transaction, refusal) if unknown else (refusal.reason, None)
                if found is not None:
                    return _done(found, attempts, started, clock())
                return Done(outcome, "failure", attempts, started, clock())
            self.effects.sleep(pause)

    def _look_once_more(self, transaction: Transaction, refusal: Refusal) -> tuple[str, Any]:
        """Return what an unknown COMMIT left behind before the transaction is given up, else how it is to be counted."""
        if transaction.resolve is None:
            return refusal.reason if transaction.repeatable else COMMIT_UNKNOWN, None
        try:
            return refusal.reason, transaction.resolve(self.session)
        except psycopg.Error:
            self.session.drop()
            return COMMIT_UNKNOWN, None

    def _attempt(self, transaction: Transaction, unknown: bool) -> Any:
        session = self.session
        session.key = transaction.key
        if unknown and transaction.resolve is not None:
            found = transaction.resolve(session)
            if found is not None:
                return found
        if not transaction.explicit:
            return transaction.body(session)
        session.begin(deferred=transaction.pipelined)
        value = transaction.body(session)
        if not session.is_committed:
            session.commit()
        return value

    def _meaning(self, error: psycopg.Error, transaction: Transaction) -> Refusal:
        refusal = self.session.refusal(error)
        is_own_commit = not transaction.explicit and self.session.current != CONNECT
        is_cancelled = error.sqlstate == _CANCELLED and _CANCELLED_ANYHOW in str(error)
        if is_own_commit and (refusal.action == "reconnect" or is_cancelled) and not transaction.repeatable:
            # Outside BEGIN the server commits with the statement: it may have done so before it could answer.
            return Refusal(refusal.reason, "ambiguous")
        return refusal

    def _clear(self, refusal: Refusal) -> None:
        if refusal.action in _LOST:
            self.session.drop()
        else:
            self.session.rollback()

    def _pause(self, refusal: Refusal, tally: "_Tally", deadline: int, rng: Random) -> float | None:
        """Return the back-off in seconds, or None to give up."""
        if refusal.action == "fail" or tally.refused >= self.policy.max_attempts:
            return None
        policy, without = self.policy, tally.without
        pause = policy.reconnect_s(without, rng) if without else policy.backoff_s(tally.refused, rng)
        return None if self.effects.clock() + pause * NS_PER_S > deadline else pause

    def _spoilt(self, refusal: Refusal, error: psycopg.Error) -> None:
        if refusal.action == "invalidate":
            self.session.drop()
            raise TargetError(
                "the server throttles transactions because it has no licence (XXC02)",
                cause=str(error).splitlines()[0],
                hint="set cluster.organization and enterprise.license, or recreate the test cluster "
                "(docs/cluster.md, Licence)",
            )


def _is_ours(error: psycopg.Error) -> bool:
    """Whether the driver refused what we asked of it, before any server saw it: a bug, and nothing to retry."""
    return error.sqlstate is None and isinstance(
        error, (psycopg.ProgrammingError, psycopg.DataError, psycopg.NotSupportedError)
    )


def _done(value: Any, attempts: int, started: int, ended: int) -> Done:
    if isinstance(value, Outcome):
        return Done(value.name, "business", attempts, started, ended, value.value)
    return Done(OK, "ok", attempts, started, ended, value)
