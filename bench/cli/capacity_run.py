"""From the options of ``bench capacity`` to its answer: search, replay, report, exit code."""

import importlib
import os
import secrets
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from bench import __version__
from bench.cli import console
from bench.cli.options import TargetOptions
from bench.cli.planning import ResolvedPlan, refit
from bench.cli.preparing import remote
from bench.cli.probing import Bench, Prober
from bench.cli.searching import Hunt
from bench.errors import BenchError, ExitCode, UsageError
from bench.results.manifest import Manifest, without_password
from bench.results.read import Run
from bench.scenario.model import Scenario
from bench.scenario.probe import busiest_mix, total_rate
from bench.stats.capacity import Capacity, Made, Question, answer
from bench.stats.capacity_text import lines
from bench.stats.knee import find_knee
from bench.stats.probing import Objective
from bench.stats.search import Search, grid_probes

_SPAN = 4096.0
"""How far from its start the search may go, as a factor."""
_PERCENTS = {"response_p95_ms": 95.0, "response_p99_ms": 99.0, "response_p999_ms": 99.9, "response_p50_ms": 50.0}


@dataclass(frozen=True, slots=True)
class Asked:
    """The options, resolved; times are in seconds, shares below one, rates per second."""

    plan: ResolvedPlan
    target: TargetOptions
    p99_s: float | None
    p95_s: float | None
    transaction: str | None
    region: str | None
    failed_share: float
    orders_per_s: float | None
    start: float | None
    max_time_s: float
    longest_s: int
    warm_up_s: float
    tolerance: float
    workers: int | None
    out: Path


def find_capacity(asked: Asked) -> int:
    """Search, replay and report; return the exit code."""
    asked = replace(asked, plan=_fitted(asked.plan, asked.target))
    scenario, objective = _settled(asked.plan), objective_of(asked)
    offered = total_rate(busiest_mix(scenario))
    start = asked.start or offered
    folder = asked.out / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{scenario.name}-{secrets.token_hex(2)}-capacity"
    search = Search(start, start / _SPAN, start * _SPAN, objective.over_share, asked.tolerance)
    bench = Bench(
        scenario,
        objective,
        tuple(_arguments(asked)),
        asked.out,
        folder,
        asked.warm_up_s,
        asked.longest_s,
        {} if asked.target.is_cluster else asked.target.environment,
    )
    folder.mkdir(parents=True)
    console.note(f"objective {objective.describe()}")
    console.note(
        f"probes    from {start:.4g} sessions/s, {asked.warm_up_s:g} s warm-up and at most {asked.longest_s} s measured, "
        f"in {folder}"
    )
    hunt = Hunt(Prober(bench), search, objective, asked.max_time_s, console.note)
    code = _hunted(hunt)
    if not hunt.probes:
        if code == ExitCode.INTERRUPTED:
            folder.rmdir() if not any(folder.iterdir()) else None
        return code
    return _concluded(asked, hunt, folder, code)


def _hunted(hunt: Hunt) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        # Not an exception from the handler: it would be raised in whatever gevent does at that moment.
        signal.signal(number, lambda *_: hunt.prober.stop())
    try:
        hunt.seek()
        hunt.replay()
    except KeyboardInterrupt:
        console.note("stopped: the answer is that of the probes so far")
        return ExitCode.INTERRUPTED
    except BenchError as error:
        if not hunt.probes:
            raise
        console.error_lines(error.message, cause=error.cause, hint=error.hint)
        return error.exit_code
    return ExitCode.OK


def _concluded(asked: Asked, hunt: Hunt, folder: Path, code: int) -> int:
    with Run.open(asked.out / hunt.probes[0].run_id) as run:
        manifest = run.manifest
    wanted = asked.orders_per_s * 60 if asked.orders_per_s else None
    found = answer(
        Question(hunt.objective, _shares(manifest), wanted),
        hunt.probes,
        is_finished=hunt.is_finished,
        grid_probes=_grid(hunt),
    )
    made = _made(asked, hunt, manifest, folder)
    for line in lines(found, made):
        console.out(line)
    pages = importlib.import_module("bench.reports.capacity")
    for path in pages.write_capacity(folder, found, made):
        console.out(str(path))
    return _exit_code(hunt, found, code)


def _exit_code(hunt: Hunt, found: Capacity, code: int) -> int:
    if hunt.wrong_data:
        console.error_lines(f"the data was wrong after {hunt.wrong_data[0]}", hint="its report names the rows")
        return ExitCode.DATA_WRONG
    if code:
        return code
    if all(probe.verdict == "generator" for probe in found.probes):
        return ExitCode.NOT_VALID
    is_missed = found.sizing is not None and found.sizing.answer == "no"
    return ExitCode.OBJECTIVE_FAILED if is_missed else ExitCode.OK


def _grid(hunt: Hunt) -> int | None:
    knee = find_knee([p.whole.trial for p in hunt.probes if p.verdict != "generator"], hunt.objective.over_share)
    first = hunt.probes[0].rate
    return grid_probes(min(first, knee.estimate), max(first, knee.estimate)) if knee.estimate else None


def _fitted(plan: ResolvedPlan, target: TargetOptions) -> ResolvedPlan:
    """Return the plan for the regions that a database elsewhere has; TargetError where it cannot be used.

    Here and not by each probe: a probe's rates are by region, and those of a region that is not there would be left out.
    """
    if not (target.url or target.gateways):
        return plan
    wanted = tuple(region.name for region in plan.scenario.regions) if plan.chose_regions else None
    with remote(target, wanted, plan.scenario.distance_ms) as prepared:
        found = prepared.target
    return refit(plan, found.regions, found.distance_ms)


def _settled(plan: ResolvedPlan) -> Scenario:
    """Return the scenario with the settings that the options left in it."""
    return plan.scenario.model_copy(
        update={"workload": plan.scenario.workload.model_copy(update={"settings": plan.settings})}
    )


def objective_of(asked: Asked) -> Objective:
    """Return the objective that the options name, or else the scenario's first that fits them; UsageError without one."""
    if asked.p99_s and asked.p95_s:
        raise UsageError("--p99 and --p95 are two objectives", hint="give one of them")
    found = _given(asked)
    regions = [region.name for region in asked.plan.scenario.regions]
    if found.region is not None and found.region not in regions:
        raise UsageError(f"no region '{found.region}' to search in", hint=f"there are {', '.join(regions)}")
    return found if len(regions) > 1 else replace(found, region=None)


def _given(asked: Asked) -> Objective:
    if asked.p99_s or asked.p95_s:
        limit, percent = (asked.p99_s, 99.0) if asked.p99_s else (asked.p95_s, 95.0)
        return Objective(
            (limit or 0.0) * 1000, percent, asked.transaction, failed_share=asked.failed_share, region=asked.region
        )
    for one in asked.plan.scenario.objectives:
        fits = asked.transaction in (None, one.transaction) and asked.region in (None, one.region)
        if one.metric in _PERCENTS and fits:
            return Objective(
                one.limit, _PERCENTS[one.metric], one.transaction, failed_share=asked.failed_share, region=one.region
            )
    raise UsageError(
        f"scenario '{asked.plan.scenario.name}' has no objective for a response time{_of(asked)}",
        hint="pass one, e.g. --p99 300ms",
    )


def _of(asked: Asked) -> str:
    where = f" in {asked.region}" if asked.region else ""
    return f"{f' of {asked.transaction}' if asked.transaction else ''}{where}"


def _arguments(asked: Asked) -> Iterator[str]:
    target, plan = asked.target, asked.plan
    if target.is_cluster:
        yield from ("--target", "cluster")
    elif not (target.url or target.gateways):
        yield from ("--target", "embedded")
    if target.variant:
        yield from ("--variant", target.variant)
    if target.port:
        yield from ("--port", str(target.port))
    yield from target.metrics_arguments
    yield from ("--regions", ",".join(region.name for region in plan.scenario.regions))
    if asked.workers is not None:
        yield from ("--workers", str(asked.workers))
    yield from ("--data-seed", str(plan.spec.seed), "--as-of", plan.spec.as_of.isoformat(), "--out", str(asked.out))


def _shares(manifest: Manifest) -> dict[str, float]:
    """Return each region's share of the sessions, as planned for the first probe."""
    found = dict.fromkeys(manifest.regions, 0.0)
    for part in manifest.planned:
        found[part.region] = found.get(part.region, 0.0) + part.expected
    total = sum(found.values())
    return {region: expected / total for region, expected in found.items()} if total else found


def _made(asked: Asked, hunt: Hunt, manifest: Manifest, folder: Path) -> Made:
    target = manifest.target
    return Made(
        capacity_id=folder.name,
        scenario=manifest.scenario_name,
        question=asked.plan.scenario.question,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        command=without_password(" ".join(["bench", *sys.argv[1:]])),
        bench_version=__version__,
        server=f"{target.kind} {target.dialect} {target.server_version}, {target.variant}",
        regions=manifest.regions,
        distance_ms={place: ms for place, ms in (manifest.distance_ms or {}).items() if ms > 0},
        cores=os.cpu_count() or 1,
        warm_up_s=asked.warm_up_s,
        longest_s=asked.longest_s,
        took_s=hunt.took_s,
        is_fresh=target.kind == "embedded",
        workers=asked.workers or 1,
    )
