"""One run from beginning to end: prepare, load, account, audit, report."""

import secrets
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import gevent
from rich.text import Text

from bench.cli import console
from bench.cli.auditing import run_tag
from bench.cli.claiming import claimed
from bench.cli.concluding import Conclusion
from bench.cli.distributing import note_workers, store_workers
from bench.cli.merging import MergedStore
from bench.cli.observing import observation, with_metrics
from bench.cli.options import TargetOptions
from bench.cli.own_session import closing_session, own_session
from bench.cli.planning import ResolvedPlan
from bench.cli.preparing import Prepared, open_target
from bench.cli.progress import ProgressLine
from bench.cli.provenance import build_manifest
from bench.cli.statements import run_catalogue
from bench.errors import BenchError, TargetError
from bench.load.engine import Engine
from bench.load.gateways import gateway_connector
from bench.load.plan import Ended, Plan
from bench.load.user import Setup
from bench.load.waiting import install_native_wait, prove_concurrency
from bench.load.web import WebPage
from bench.metrics.frame import Frame, JournalEntry
from bench.results.manifest import Manifest
from bench.results.store import MANIFEST_NAME, RunWriter, Status
from bench.stats.validity import Evidence
from bench.team.briefing import Briefing
from bench.team.coordinator import Coordinator
from bench.team.roster import Crew


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
        observed = replace(opened, target=with_metrics(opened.target, options))
        prepared = claimed(observed, plan.scenario, run_id)
        manifest = build_manifest(plan, prepared, run_id, command)
        writer.write_manifest(manifest)
        load = _Load(plan, prepared, writer, manifest, by)
        ended = load.run()
        audit = load.observation.audit
        end = Conclusion(plan, prepared, writer, load.evidence, load.catalogue, load.state, load.since, audit)
        return end.of(ended)


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
        target, scenario = self.prepared.target, self.plan.scenario
        home = target.regions[0]
        prove_concurrency(gateway_connector(target, home, scenario, self.run_id))
        with closing_session(own_session(target, home, scenario, self.run_id, self.catalogue)) as session:
            self.since = session.execute("clock")[0][0]
            self.state = self.plan.user_class.prepare(
                Setup(session, target.regions, self.plan.settings, scenario.seed, self.run_tag)
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
