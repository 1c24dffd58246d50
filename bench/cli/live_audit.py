"""The audit beside a run: a snapshot every so often, on a connection of its own, in a greenlet of its own."""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import gevent

from bench.audit.live import LiveAudit
from bench.cli.auditing import snapshot_executor
from bench.db.catalogue import Catalogue
from bench.db.connection import Connection, DriverError, connect
from bench.metrics.frame import Check, Event
from bench.metrics.recorder import Recorder
from bench.units import NS_PER_S

APPLICATION = "shopbench-audit"
CANCEL_WITHIN_S = 2.0


@dataclass(slots=True)
class LiveAuditor:
    """Audits every ``every_s`` seconds, and never before it has paused for as long as the last audit took."""

    url: str
    catalogue: Catalogue
    every_s: float
    delay_s: float = 0.0
    options: Sequence[str] = ()
    audit: LiveAudit = field(init=False)
    _recorder: Recorder | None = None
    _connection: Connection | None = None
    _origin_ns: int = 0
    _told: set[str] = field(default_factory=set)
    _is_auditing: bool = False

    def __post_init__(self) -> None:
        self.audit = LiveAudit(self._elapsed_s, lambda: gevent.sleep(0), self.delay_s)

    @property
    def _begin(self) -> str:
        live = "begin_live_snapshot"
        return live if live in self.catalogue else "begin_snapshot"

    def begin(self, recorder: Recorder) -> None:
        """Take note of where to record."""
        self._recorder = recorder

    def run(self, origin_ns: int) -> None:
        """Audit until killed."""
        self._origin_ns = origin_ns
        due_s = self.every_s
        try:
            while True:
                gevent.sleep(max(0.0, due_s - self._elapsed_s()))
                began_s = self._elapsed_s()
                self._audit()
                ended_s = self._elapsed_s()
                due_s = max(began_s + self.every_s, ended_s + (ended_s - began_s))
        finally:
            self._close()

    def end(self, elapsed_s: float) -> None:  # noqa: ARG002
        """Say so if an audit was cut off; the one after the run looks at everything once more."""
        if self._is_auditing:
            self._event("audit_missing", "the run ended before an audit did")

    def _elapsed_s(self) -> float:
        return (time.perf_counter_ns() - self._origin_ns) / NS_PER_S if self._origin_ns else 0.0

    def _audit(self) -> None:
        self._is_auditing = True
        try:
            if self._connection is None:
                self._connection = connect(self.url, application=APPLICATION, options=self.options)
            self.audit.begin()
            with snapshot_executor(self._connection, self.catalogue, self._begin) as execute:
                for check in self.audit.check(execute):
                    self._record(check)
        except DriverError as error:
            self._event("audit_missing", (str(error).splitlines() or [type(error).__name__])[0])
            self._close()
        self._is_auditing = False

    def _record(self, check: Check) -> None:
        assert self._recorder is not None
        self._recorder.checks([check])
        if not check.passed and check.rule not in self._told:
            self._told.add(check.rule)
            self._event("audit_wrong", f"{check.rule}: {check.detail}")

    def _event(self, kind: str, detail: str) -> None:
        assert self._recorder is not None
        self._recorder.event(Event(self._elapsed_s(), kind, detail))

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        with suppress(DriverError):
            # Else the server would work on an answer that nobody waits for, beside the audit after the run.
            # Never ``cancel``: it waits for the server's answer with the whole process, and a frozen server gives none.
            connection.cancel_safe(timeout=CANCEL_WITHIN_S)
        connection.close()
