"""The end of a run, after its load: account for the stock, audit the data, report, and choose the exit code."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import gevent
from rich.text import Text

from bench.audit.audit import run_audit
from bench.audit.journal import RunWindow
from bench.audit.live import LiveAudit, with_live
from bench.cli import console
from bench.cli.auditing import run_tag, snapshot_executor, with_unknown
from bench.cli.findings import finding_lines
from bench.cli.own_session import closing_session, own_session
from bench.cli.planning import ResolvedPlan
from bench.cli.preparing import Prepared
from bench.cli.report import write_reports
from bench.cli.summary import render_summary
from bench.db.admin import Admin
from bench.db.catalogue import Catalogue
from bench.db.connection import connect
from bench.db.patience import patiently
from bench.db.session import Effects
from bench.errors import BenchError, ExitCode, UsageError
from bench.load.plan import Ended
from bench.metrics.frame import JournalEntry
from bench.metrics.outcome import Finding, StockRow
from bench.results.read import Run
from bench.results.store import RunWriter
from bench.results.summarise import summarise_run
from bench.stats.selling import sold_out_after
from bench.stats.validity import Evidence, Validity, judge

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a run is judged by: ``evidence`` on its generator, the workload's ``state``, and its audit while it went on.

    ``since`` is the server's clock before the load.
    """

    plan: ResolvedPlan
    prepared: Prepared
    writer: RunWriter
    evidence: Evidence
    catalogue: Catalogue
    state: Any
    since: datetime
    audit: LiveAudit | None

    def of(self, ended: Ended) -> int:
        """Account, audit, report; return the exit code."""
        if isinstance(ended.error, UsageError):
            # The store cannot be written any more; what is in it stays readable.
            raise ended.error
        if ended.interrupted_at_s is not None:
            self.evidence.interrupted_at_s = ended.interrupted_at_s
        self.evidence.faults += ended.faults
        validity = judge(self.evidence)
        stock: tuple[StockRow, ...] = ()
        findings: tuple[Finding, ...] = ()
        if ended.status in ("complete", "interrupted"):
            with Run.open(self.writer.path) as run:
                journal = tuple(run.journal())
            stock = self._account(journal)
            findings = self._audit(journal, ended)
        if self.audit:
            findings = with_live(findings, self.audit.broken.values())
        self.writer.write_stock(stock)
        self.writer.write_findings(findings)
        self.writer.finish(ended.status, ended.detail, validity)
        self.writer.close()
        paths = write_reports(self.writer.path)
        with Run.open(self.writer.path) as run:
            summary = summarise_run(run)
        console.out(render_summary(summary, paths))
        for line in finding_lines(finding for finding in findings if not finding.passed):
            console.out(line)
        return self._exit_code(ended, validity, findings, bool(summary.missed))

    def _account(self, journal: tuple[JournalEntry, ...]) -> tuple[StockRow, ...]:
        account = getattr(self.plan.user_class, "account", None)
        if account is None:
            return ()
        # One session for all its tries, because it goes on to the next gateway with each.
        target = self.prepared.target
        stock = own_session(target, target.regions[0], self.plan.scenario, self.writer.path.name, self.catalogue)

        def read() -> tuple[StockRow, ...]:
            with closing_session(stock) as session:
                found: tuple[StockRow, ...] = account(session, self.state, target.regions)
                return found

        rows = self._patiently(read, "the stock cannot be read")
        opening = self.plan.opening_s or 0.0
        return tuple(replace(row, sold_out_after_s=sold_out_after(row, journal, opening)) for row in rows)

    def _audit(self, journal: tuple[JournalEntry, ...], ended: Ended) -> tuple[Finding, ...]:
        window = RunWindow(since=self.since, tag=run_tag(self.writer.path.name))
        gaps = [datetime.fromtimestamp(at, UTC) for at in ended.gaps_unix_s]
        if ended.status == "interrupted":
            gaps.append(datetime.now(UTC))
        with Run.open(self.writer.path) as run:
            window = with_unknown(replace(window, lost=(*window.lost, *gaps)), run)
        return self._patiently(lambda: self._findings(journal, window), "the data cannot be audited")

    def _findings(self, journal: tuple[JournalEntry, ...], window: RunWindow) -> tuple[Finding, ...]:
        with closing(connect(self.prepared.target.admin_url)) as connection:
            dialect = self.prepared.target.dialect
            with snapshot_executor(connection, self.catalogue) as execute:
                findings = run_audit(execute, journal, window)
            if not all(finding.passed for finding in findings):
                Admin.of(connection, dialect).note({"damaged_by": self.writer.path.name})
        return findings

    def _patiently(self, work: Callable[[], T], what: str) -> T:
        """Do what follows the load; a server that was restarted at its end may not be back yet."""
        return patiently(work, self.plan.scenario.give_up_after, Effects(time.perf_counter_ns, gevent.sleep), what)

    def _exit_code(self, ended: Ended, validity: Validity, findings: tuple[Finding, ...], missed: bool) -> int:
        if ended.status == "target_lost":
            _tell_why_lost(ended, self.writer.path / "report.html")
            return ExitCode.TARGET
        if ended.status == "crashed":
            raise ended.error or RuntimeError(ended.detail)
        if not all(finding.passed for finding in findings):
            return ExitCode.DATA_WRONG
        if ended.status == "interrupted" and not ended.gaps_unix_s:
            return ExitCode.INTERRUPTED
        if validity.verdict == "INVALID":
            return ExitCode.NOT_VALID
        return ExitCode.OBJECTIVE_FAILED if missed else ExitCode.OK


def _tell_why_lost(ended: Ended, report: Path) -> None:
    """Print why the server could not be used to the end; what knows better than that says what to do about it."""
    kept = f"what was measured until then is in {report}"
    error = ended.error
    if isinstance(error, BenchError) and error.hint:
        console.error_lines(error.message, cause=error.cause, hint=error.hint)
        console.note(Text(kept))
    else:
        console.error_lines("the server was lost during the run", cause=ended.detail, hint=kept)
