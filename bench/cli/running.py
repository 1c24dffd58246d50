"""One run from beginning to end: prepare, load, account, audit, report."""

import secrets
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent

from bench.audit.audit import run_audit
from bench.audit.journal import RunWindow
from bench.cli import console
from bench.cli.auditing import run_tag, snapshot_executor
from bench.cli.findings import finding_lines
from bench.cli.options import TargetOptions
from bench.cli.planning import ResolvedPlan
from bench.cli.preparing import Prepared, open_target
from bench.cli.progress import ProgressLine
from bench.cli.provenance import build_manifest
from bench.cli.report import write_reports
from bench.cli.summary import render_summary
from bench.db.admin import Admin
from bench.db.catalogue import Catalogue, read_package
from bench.db.connection import connect
from bench.db.observe import Observer
from bench.db.session import Effects, Session
from bench.errors import BenchError, ExitCode, TargetError, UsageError
from bench.load.engine import Ended, Engine, Plan, gateway_connector
from bench.load.user import Setup
from bench.load.waiting import install_native_wait, prove_concurrency
from bench.metrics.frame import Frame, JournalEntry
from bench.metrics.outcome import Finding, StockRow
from bench.results.read import Run
from bench.results.store import MANIFEST_NAME, RunWriter, Status
from bench.results.summarise import summarise_run
from bench.stats.validity import Evidence, Validity, judge

_STATEMENT_PACKAGES = ("bench.db", "bench.audit")


@dataclass(frozen=True, slots=True)
class _Silent:
    """An observer of sessions that are not part of the load."""

    def statement(self, name: str, started_ns: int, ended_ns: int, ok: bool) -> None:
        """Record nothing."""


def run_scenario(plan: ResolvedPlan, options: TargetOptions, runs: Path, command: list[str]) -> int:
    """Run a plan and return the exit code; the store holds whatever was measured, however it ends."""
    run_id = _new_run_id(plan.scenario.name)
    with RunWriter(runs / run_id) as writer:
        try:
            return _run(plan, options, writer, run_id, command)
        except BaseException as error:
            _record_failure(writer, error)
            raise


def _run(plan: ResolvedPlan, options: TargetOptions, writer: RunWriter, run_id: str, command: list[str]) -> int:
    install_native_wait()
    wanted = tuple(region.name for region in plan.scenario.regions) if plan.chose_regions else None
    console.note(f"scenario  {plan.scenario.name}, {plan.scenario.model} model, {len(plan.schedule):,} arrivals")
    with open_target(options, plan.spec, wanted, plan.scenario.distance_ms) as prepared:
        plan = _fitted(plan, prepared)
        manifest = build_manifest(plan, prepared, run_id, command)
        writer.write_manifest(manifest)
        load = _Load(plan, prepared, run_id, writer)
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
    detail = error.message if isinstance(error, BenchError) else f"{type(error).__name__}: {error}"
    status: Status = "target_lost" if isinstance(error, TargetError) else "crashed"
    if isinstance(error, KeyboardInterrupt):
        status = "interrupted"
    with suppress(BenchError):
        writer.finish(status, detail, None)


def _fitted(plan: ResolvedPlan, prepared: Prepared) -> ResolvedPlan:
    """Return the plan for the regions that the target has, where the user named none."""
    regions = prepared.target.regions
    if regions == tuple(region.name for region in plan.scenario.regions):
        return plan
    from bench.cli.planning import refit

    return refit(plan, regions)


class _Load:
    """The middle of a run: everything between a prepared target and an exit code."""

    def __init__(self, plan: ResolvedPlan, prepared: Prepared, run_id: str, writer: RunWriter) -> None:
        self.plan = plan
        self.prepared = prepared
        self.run_id = run_id
        self.run_tag = run_tag(run_id)
        self.writer = writer
        self.evidence = Evidence(phases=_phases(plan))
        self.state: Any = None
        self.since = datetime.now(UTC)
        self.catalogue = _catalogue(plan, prepared)
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
        engine = self._engine()
        with _interruptible(engine):
            ended = engine.run()
        console.end_status()
        return ended

    def _engine(self) -> Engine:
        target = self.prepared.target
        plan = Plan(
            self.plan.scenario,
            self.plan.schedule,
            target,
            self.plan.user_class,
            self.catalogue,
            self.state,
            self.run_id,
        )
        line = ProgressLine(self.plan.scenario, console)
        return Engine(plan, self._sink, Observer(target.admin_url, self.catalogue), line.show)

    def _sink(self, frame: Frame) -> None:
        self.evidence.add_frame(frame)
        self.writer.write_frame(frame)

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
        console.note(f"load      {scenario.users} users, {scenario.duration_s:g} s, run {self.run_id}")

    # -- after the load

    def conclude(self, ended: Ended) -> int:
        """Account, audit, report; return the exit code."""
        if isinstance(ended.error, UsageError):
            # The store cannot be written any more; what is in it stays readable.
            raise ended.error
        if ended.interrupted_at_s is not None:
            self.evidence.interrupted_at_s = ended.interrupted_at_s
        validity = judge(self.evidence)
        stock: tuple[StockRow, ...] = ()
        findings: tuple[Finding, ...] = ()
        if ended.status in ("complete", "interrupted"):
            with Run.open(self.writer.path) as run:
                journal = tuple(run.journal())
            stock = self._account(journal)
            findings = self._audit(journal, ended)
        self.writer.write_stock(stock)
        self.writer.write_findings(findings)
        self.writer.finish(ended.status, ended.detail, validity)
        self.writer.close()
        paths = write_reports(self.writer.path)
        with Run.open(self.writer.path) as run:
            console.out(render_summary(summarise_run(run), paths))
        for line in finding_lines(finding for finding in findings if not finding.passed):
            console.out(line)
        return self._exit_code(ended, validity, findings)

    def _account(self, journal: tuple[JournalEntry, ...]) -> tuple[StockRow, ...]:
        account = getattr(self.plan.user_class, "account", None)
        if account is None:
            return ()
        with closing_session(self._session()) as session:
            rows: tuple[StockRow, ...] = account(session, self.state, self.prepared.target.regions)
        opening = self.plan.opening_s or 0.0
        return tuple(replace(row, sold_out_after_s=_sold_out_after(row, journal, opening)) for row in rows)

    def _audit(self, journal: tuple[JournalEntry, ...], ended: Ended) -> tuple[Finding, ...]:
        window = RunWindow(since=self.since, tag=self.run_tag)
        if ended.status == "interrupted":
            window = replace(window, lost=(datetime.now(UTC),))
        with closing(connect(self.prepared.target.admin_url)) as connection:
            dialect = self.prepared.target.dialect
            with snapshot_executor(connection, self.catalogue) as execute:
                findings = run_audit(execute, journal, window)
            if not all(finding.passed for finding in findings):
                Admin.of(connection, dialect).note({"damaged_by": self.run_id})
        return findings

    def _exit_code(self, ended: Ended, validity: Validity, findings: tuple[Finding, ...]) -> int:
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
        if ended.status == "interrupted":
            return ExitCode.INTERRUPTED
        return ExitCode.NOT_VALID if validity.verdict == "INVALID" else ExitCode.OK


@contextmanager
def closing_session(session: Session) -> Iterator[Session]:
    """Hand out a session and close its connection afterwards."""
    try:
        yield session
    finally:
        session.drop()


@contextmanager
def _interruptible(engine: Engine) -> Iterator[None]:
    """Ctrl-C (or SIGTERM) ends the run in order; the second time without waiting for sessions in flight."""
    times = 0

    def stop(*_: object) -> None:
        nonlocal times
        times += 1
        console.end_status()
        if times == 1:
            console.note("stopping: no new arrivals, sessions in flight end (Ctrl-C again to cut them off)")
        engine.interrupt(at_once=times > 1)

    before: dict[int, Any] = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    watchers = [gevent.signal_handler(number, stop) for number in before]
    try:
        yield
    finally:
        for watcher in watchers:
            watcher.cancel()
        for number, handler in before.items():
            signal.signal(number, handler)


def _phases(plan: ResolvedPlan) -> tuple[Any, ...]:
    from bench.stats.phases import Phase

    start, found = 0.0, []
    for phase in plan.scenario.phases:
        found.append(Phase(phase.name, start, phase.duration, phase.measured))
        start += phase.duration
    return tuple(found)


def _catalogue(plan: ResolvedPlan, prepared: Prepared) -> Catalogue:
    folders = [(package, "sql") for package in _STATEMENT_PACKAGES]
    folders += [folder for folder in plan.user_class.statement_folders if folder not in folders]
    return Catalogue.load([read_package(package, folder) for package, folder in folders], prepared.target.dialect)


def _sold_out_after(row: StockRow, journal: tuple[JournalEntry, ...], opening_s: float) -> float | None:
    """Return the seconds from the opening to the acknowledgement of the last unit offered, or None if some were left."""
    sold = 0
    for entry in sorted(journal, key=lambda entry: entry.elapsed_s):
        if entry.status == "cancelled":
            continue
        sold += sum(t.units for t in entry.taken if (t.product_id, t.warehouse_region) == (row.product_id, row.region))
        if sold >= row.offered:
            return entry.elapsed_s - opening_s
    return None
