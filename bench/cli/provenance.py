"""Where a run comes from: machine, versions, checkout, target, for its manifest."""

import json
import os
import platform
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from bench import __version__
from bench.cli.planning import ResolvedPlan
from bench.cli.preparing import Prepared
from bench.db.connection import redact
from bench.results.manifest import DataInfo, GitInfo, MachineInfo, Manifest, PlannedPart, TargetInfo
from bench.scenario.model import Scenario
from bench.scenario.offer import bursts, offers

_PACKAGES = ("locust", "gevent", "psycopg", "faker", "numpy", "scipy", "matplotlib")


def build_manifest(plan: ResolvedPlan, prepared: Prepared, run_id: str, command: list[str]) -> Manifest:
    """Return everything that was fixed before the first arrival."""
    target, scenario = prepared.target, plan.scenario
    return Manifest(
        run_id=run_id,
        bench_version=__version__,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
        command=" ".join(redact(word) for word in command),
        scenario=plan.resolved(),
        seed=scenario.seed,
        regions=target.regions,
        target=TargetInfo(
            kind=target.kind,
            dialect=target.dialect,
            server_version=target.server_version,
            safe_url=redact(target.gateways[target.regions[0]][0]),
            variant=target.variant,
            isolation=prepared.isolation,
            isolation_asked=scenario.isolation,
            settings=dict(prepared.settings),
            gateways={region: ", ".join(map(redact, urls)) for region, urls in target.gateways.items()},
        ),
        distance_ms=dict(target.distance_ms) or None,
        schema_fingerprint=prepared.schema.fingerprint,
        data=DataInfo(
            scale=prepared.meta.get("scale", ""),
            seed=int(prepared.meta.get("data_seed", "0")),
            fingerprint=prepared.meta.get("data_fingerprint", ""),
            rows=prepared.rows,
            checksums=json.loads(prepared.meta.get("checksums", "{}")),
            facts=json.loads(prepared.meta.get("facts", "{}")),
        ),
        machine=machine(),
        versions={package: version(package) for package in _PACKAGES},
        git=git_state(Path.cwd()),
        workload=scenario.workload.user,
        strategy=plan.settings.get("strategy"),
        hot_sessions=tuple(sorted(plan.user_class.hot_sessions)),
        planned=tuple(planned_parts(scenario)),
    )


def planned_parts(scenario: Scenario) -> Iterator[PlannedPart]:
    """Yield how many sessions each phase is expected to offer: the area under their rates, and bursts."""
    for phase in scenario.phases:
        for offer in offers(scenario, phase):
            yield PlannedPart(phase=phase.name, session=offer.session, region=offer.region, expected=offer.curve.area)
        for session, region, count in bursts(scenario, phase):
            yield PlannedPart(phase=phase.name, session=session, region=region, expected=count)


def machine() -> MachineInfo:
    """Return what kind of machine this is, without its name."""
    return MachineInfo(
        os=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        cpus=os.cpu_count() or 1,
        cpu_model=_cpu_model(),
        memory_bytes=_memory_bytes(),
    )


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return None


def git_state(folder: Path) -> GitInfo | None:
    """Return the checkout's commit, or None outside of one or without git."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        return GitInfo(commit=commit, dirty=bool(_git(folder, "status", "--porcelain")))
    except (OSError, subprocess.SubprocessError):
        return None


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=5, check=True)
    return done.stdout.strip()
