"""One run from beginning to end: prepare, load, account, audit, report."""

import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import gevent
from rich.text import Text

from bench.audit.audit import run_audit
from bench.audit.journal import RunWindow
from bench.audit.live import with_live
from bench.cli import console
from bench.cli.auditing import run_tag, snapshot_executor, with_unknown
from bench.cli.claiming import claimed
from bench.cli.distributing import note_workers, store_workers
from bench.cli.findings import finding_lines
from bench.cli.merging import MergedStore
from bench.cli.observing import observation
from bench.cli.options import TargetOptions
from bench.cli.planning import ResolvedPlan
from bench.cli.preparing import Prepared, open_target
from bench.cli.progress import ProgressLine
from bench.cli.provenance import build_manifest
from bench.cli.report import write_reports
from bench.cli.statements import run_catalogue
from bench.cli.summary import render_summary
from bench.db.admin import Admin
from bench.db.connection import connect
from bench.db.patience import patiently
from bench.db.session import Effects, Session
from bench.errors import BenchError, ExitCode, TargetError, UsageError
from bench.load.engine import Engine
from bench.load.gateways import gateway_connector
from bench.load.plan import Ended, Plan
from bench.load.user import Setup
from bench.load.waiting import install_native_wait, prove_concurrency
from bench.load.web import WebPage
from bench.metrics.frame import Frame, JournalEntry
from bench.metrics.outcome import Finding, StockRow
from bench.results.manifest import Manifest
from bench.results.read import Run
from bench.results.store import MANIFEST_NAME, RunWriter, Status
from bench.results.summarise import summarise_run
from bench.stats.selling import sold_out_after
from bench.stats.validity import Evidence, Validity, judge
from bench.team.briefing import Briefing
from bench.team.coordinator import Coordinator
from bench.team.roster import Crew

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Silent:
    """An observer of sessions that are not part of the load."""

    def statement(self, name: str, started_ns: int, ended_ns: int, ok: bool) -> None:
        """Record nothing."""


@dataclass(frozen=True, slots=True)
class _Driving:
    """What drives a run beside this process alone."""

    crew: Crew | None
    page: WebPage | None


def run_scenario(
    plan: ResolvedPlan,
    options: TargetOptions,
    runs: Path,
    command: list[str],
    crew: Crew | None = None,
    page: WebPage | None = None,
) -> int:
    """Run a plan and return the exit code; the store holds whatever was measured, however it ends.

    ``crew`` says which processes put the load on; None is this one alone.  ``page`` shows the run in a browser.
    """
    run_id = _new_run_id(plan.scenario.name)
    with RunWriter(runs / run_id) as writer:
        try:
            return _run(plan, options, writer, command, _Driving(crew, page))
        except BaseException as error:
            _record_failure(writer, error)
            raise


def _run(plan: ResolvedPlan, options: TargetOptions, writer: RunWriter, command: list[str], by: _Driving) -> int:
    run_id = writer.path.name
    install_native_wait()
    wanted = tuple(region.name for region in plan.scenario.regions) if plan.chose_regions else None
    arrivals = f", {len(plan.schedule):,} arrivals" if plan.scenario.model == "open" else ""
    console.note(f"scenario  {plan.scenario.name}, {plan.scenario.model} model{arrivals}")
    with open_target(options, plan.spec, wanted, plan.scenario.distance_ms) as opened:
        plan = _fitted(plan, opened)
        prepared = claimed(opened, plan.scenario, run_id)
        manifest = build_manifest(plan, prepared, run_id, command)
        writer.write_manifest(manifest)
        load = _Load(plan, prepared, writer, manifest, by)
        ended = load.run()
        return load.conclude(ended)


def _new_run_id(name: str) -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{name}-{secrets.token_hex(2)}"


def _record_failure(writer: RunWriter, error: BaseException) -> None:
    if not (writer.path / MANIFEST_NAME).exists():
        # Nothing was run, so there is nothing to keep.
        writer.close()
        shutil.rmtree(writer.path, ignore_errors=True)
        return
    if writer.is_closed:
        # How it ended has been stored, and the error is told after it.
        return
    detail = error.message if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
    status: Status = "target_lost" if isinstance(error, TargetError) else "crashed"
    if isinstance(error, KeyboardInterrupt):
        status = "interrupted"
    with suppress(BenchError):
        writer.finish(status, detail, None)


def _fitted(plan: ResolvedPlan, prepared: Prepared) -> ResolvedPlan:
    """Return the plan for the regions that the target has, where the user named none, and the distance emulated there."""
    regions, distance_ms = prepared.target.regions, prepared.target.distance_ms
    if regions == tuple(r.name for r in plan.scenario.regions) and distance_ms == plan.scenario.distance_ms:
        return plan
    from bench.cli.planning import refit

    return refit(plan, regions, distance_ms)


class _Load:
    """The middle of a run: everything between a prepared target and an exit code."""

    def __init__(
        self, plan: ResolvedPlan, prepared: Prepared, writer: RunWriter, manifest: Manifest, by: _Driving
    ) -> None:
        self.plan = plan
        self.prepared = prepared
        self.manifest = manifest
        self.crew, self.page = by.crew, by.page
        self.run_id = run_id = manifest.run_id
        self.run_tag = run_tag(run_id)
        self.writer = writer
        self.evidence = Evidence(phases=_phases(plan))
        self.state: Any = None
        self.since = datetime.now(UTC)
        self.catalogue = run_catalogue(plan.user_class, prepared.target.dialect)
        self.observation = observation(prepared.target, self.catalogue, plan.scenario, run_id)
        self._first_unix = 0.0

    def run(self) -> Ended:
        target = self.prepared.target
        connector = gateway_connector(target, target.regions[0], self.plan.scenario, self.run_id)
        prove_concurrency(connector)
        with closing_session(self._session()) as session:
            self.since = session.execute("clock")[0][0]
            self.state = self.plan.user_class.prepare(
                Setup(session, target.regions, self.plan.settings, self.plan.scenario.seed, self.run_tag)
            )
        self._announce()
        driver = self._driver()
        try:
            with _interruptible(driver):
                return driver.run()
        finally:
            console.end_status()
            if isinstance(driver, Coordinator):
                # A store that cannot be written any more is what the run has ended with.
                with suppress(BenchError):
                    store_workers(self.writer, driver.workers)

    def _driver(self) -> Engine | Coordinator:
        target = self.prepared.target
        plan = Plan(
            self.plan.scenario,
            self.plan.schedule,
            target,
            self.plan.user_class,
            self.catalogue,
            self.state,
            self.run_id,
            self.plan.pool.users,
            notes=(self.plan.pool.note,) if self.plan.pool.note else (),
        )
        line = ProgressLine(self.plan.scenario, console)
        seen = self.observation
        if self.crew is None:
            return Engine(plan, self._sink, seen.observer, line.show, companions=seen.companions, page=self.page)
        return Coordinator(
            plan,
            Briefing(self.run_tag, self.plan.settings),
            self.crew,
            MergedStore(self.writer, self.evidence, self._journalled),
            seen.observer,
            line.show,
            tell=_tell,
            gathered=lambda workers: note_workers(self.writer, self.manifest, workers),
            companions=seen.companions,
        )

    def _sink(self, frame: Frame) -> None:
        self.evidence.add_frame(frame)
        self._journalled(frame.journal)
        self.writer.write_frame(frame)

    def _journalled(self, entries: tuple[JournalEntry, ...]) -> None:
        if self.observation.audit:
            self.observation.audit.take(entries)

    def _session(self) -> Session:
        target = self.prepared.target
        connector = gateway_connector(target, target.regions[0], self.plan.scenario, self.run_id)
        effects = Effects(time.perf_counter_ns, gevent.sleep)
        return Session(target.regions[0], connector, self.catalogue, _Silent(), effects)

    def _announce(self) -> None:
        target, scenario = self.prepared.target, self.plan.scenario
        distance = "emulated distance" if target.distance_ms else "no distance emulated"
        rows = sum(self.prepared.rows.values())
        console.note(
            f"target    {target.kind} {target.dialect} {target.server_version}, {target.variant}, "
            f"{len(target.regions)} regions, {distance}, {rows:,} rows{' (reused)' if self.prepared.reused else ''}"
        )
        if self.plan.pool.note:
            console.note(f"note      {self.plan.pool.note}")
        if self.page:
            console.note(f"page      {self.page.url}")
        console.note(f"load      {self.plan.pool.total} users, {scenario.duration_s:g} s, run {self.run_id}")

    # -- after the load

    def conclude(self, ended: Ended) -> int:
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
        if self.observation.audit:
            findings = with_live(findings, self.observation.audit.broken.values())
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
        stock = self._session()

        def read() -> tuple[StockRow, ...]:
            with closing_session(stock) as session:
                found: tuple[StockRow, ...] = account(session, self.state, self.prepared.target.regions)
                return found

        rows = self._patiently(read, "the stock cannot be read")
        opening = self.plan.opening_s or 0.0
        return tuple(replace(row, sold_out_after_s=sold_out_after(row, journal, opening)) for row in rows)

    def _audit(self, journal: tuple[JournalEntry, ...], ended: Ended) -> tuple[Finding, ...]:
        window = RunWindow(since=self.since, tag=self.run_tag)
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
                Admin.of(connection, dialect).note({"damaged_by": self.run_id})
        return findings

    def _patiently(self, work: Callable[[], T], what: str) -> T:
        """Do what follows the load; a server that was restarted at its end may not be back yet."""
        return patiently(work, self.plan.scenario.give_up_after, Effects(time.perf_counter_ns, gevent.sleep), what)

    def _exit_code(self, ended: Ended, validity: Validity, findings: tuple[Finding, ...], missed: bool) -> int:
        if ended.status == "target_lost":
            console.error_lines(
                "the server was lost during the run",
                cause=ended.detail,
                hint=f"what was measured until then is in {self.writer.path / 'report.html'}",
            )
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


@contextmanager
def closing_session(session: Session) -> Iterator[Session]:
    """Hand out a session and close its connection afterwards."""
    try:
        yield session
    finally:
        session.drop()


@contextmanager
def _interruptible(driver: Engine | Coordinator) -> Iterator[None]:
    """Ctrl-C (or SIGTERM) ends the run in order; the second time without waiting for sessions in flight."""
    times = 0

    def stop(*_: object) -> None:
        nonlocal times
        times += 1
        console.end_status()
        if times == 1:
            console.note("stopping: no new arrivals, sessions in flight end (Ctrl-C again to cut them off)")
        driver.interrupt(at_once=times > 1)

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    watchers = [gevent.signal_handler(number, stop) for number in before]
    try:
        yield
    finally:
        for watcher in watchers:
            watcher.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(text: str) -> None:
    console.end_status()
    # Not as markup: names and places in it come from other machines.
    console.note(Text(text))


def _phases(plan: ResolvedPlan) -> tuple[Any, ...]:
    from bench.stats.phases import Phase

    start, found = 0.0, []
    for phase in plan.scenario.phases:
        found.append(Phase(phase.name, start, phase.duration, phase.measured))
        start += phase.duration
    return tuple(found)
