"""What a run on this machine needs, looked at piece by piece."""

import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from bench.cli.doctor_machine import cores, cpu_limit, frequency, stolen, timers
from bench.errors import BenchError
from bench.target.home import bench_home, server_account
from bench.units import format_bytes

DISTRIBUTION = "shopbench"
_INSTALL = f"pip install --upgrade . in the checkout of {DISTRIBUTION}"
OLDEST_PYTHON = (3, 11)
LITTLE_DISK, TOO_LITTLE_DISK = 5 * 2**30, 2**30
"""A thousand bytes a row for each of the seed, its copy and the log (docs/seeding.md): 0.8 GB at small, 17 GB at medium."""
FEW_FILES, TOO_FEW_FILES = 1024, 256
"""A connection is an open file on either side, and each process has some thirty of its own."""
_COMMAND_TIMEOUT_S = 10

State = Literal["ok", "note", "missing"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at; ``stops_a_run``: without it `bench run` on the embedded server does not work."""

    name: str
    state: State
    found: str
    next_step: str = ""
    stops_a_run: bool = False


def examine() -> Iterator[Check]:
    """Yield every check, what is needed most first."""
    yield python_version()
    yield from packages()
    yield embedded_server()
    yield disk(bench_home())
    yield open_files()
    yield docker()
    for name, fact in (
        ("clock and timer", timers()),
        ("cores", cores()),
        ("cpu limit", cpu_limit()),
        ("stolen cpu", stolen()),
        ("cpu frequency", frequency()),
    ):
        yield Check(name, "note" if fact.next_step else "ok", fact.found, fact.next_step)


def python_version() -> Check:
    """Whether this Python is new enough."""
    found = f"{sys.version.split()[0]} at {sys.executable}"
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", "missing", found, "install Python 3.11 or later", stops_a_run=True)
    return Check("python", "ok", found)


def packages() -> Iterator[Check]:
    """Whether the packages that bench names as its dependencies are installed, in the versions that it names."""
    try:
        wanted = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield Check("packages", "missing", f"{DISTRIBUTION} itself is not installed", _INSTALL, stops_a_run=True)
        return
    try:
        from packaging.requirements import Requirement
    except ImportError:
        yield Check("packages", "missing", "packaging is not installed", "pip install packaging", stops_a_run=True)
        return
    faults, present = [], []
    for requirement in map(Requirement, wanted):
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            faults.append(f"{requirement.name} is not installed")
            continue
        present.append(f"{requirement.name} {version}")
        if not requirement.specifier.contains(version, prereleases=True):
            faults.append(f"{requirement.name} is {version}, wanted {requirement.specifier}")
    if faults:
        yield Check("packages", "missing", "; ".join(faults), _INSTALL, stops_a_run=True)
    else:
        yield Check("packages", "ok", ", ".join(present))


def embedded_server() -> Check:
    """Whether PostgreSQL's programs are there, and a server of ours starts in BENCH_HOME as this user."""
    home = bench_home()
    try:
        # Here, because they need packages that may be missing.
        from bench.cli.opening import SERVER_LIBRARIES, SERVER_SETTINGS
        from bench.target.embedded import EmbeddedServer, ServerOptions

        options = ServerOptions(SERVER_SETTINGS, libraries=SERVER_LIBRARIES)
        with EmbeddedServer.start(home, options) as server:
            found = (
                f"PostgreSQL {server.binaries.version} from {server.binaries.bin_dir}, started in {home}{_as_whom()}"
            )
    except BenchError as error:
        cause = f" ({error.cause})" if error.cause else ""
        step = error.hint or "pass --url of a database"
        return Check("embedded server", "missing", f"{error.message}{cause}", step, stops_a_run=True)
    except ImportError as error:
        return Check("embedded server", "missing", f"not tried: {error}", _INSTALL, stops_a_run=True)
    return Check("embedded server", "ok", found)


def _as_whom() -> str:
    account = server_account()
    return f" as {account.name}" if account else ""


def disk(home: Path) -> Check:
    """Whether there is room where the embedded server keeps its data."""
    there = next(path for path in (home, *home.parents) if path.exists())
    free = shutil.disk_usage(there).free
    found = f"{format_bytes(free)} free at {home}"
    step = "free some, or set BENCH_HOME to a folder on another disk"
    if free < TOO_LITTLE_DISK:
        return Check("disk", "missing", found, step, stops_a_run=True)
    return Check("disk", "note", found, step) if free < LITTLE_DISK else Check("disk", "ok", found)


def open_files() -> Check:
    """Whether as many files may be open as a run has connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = soft == resource.RLIM_INFINITY
    found = "no limit" if unlimited else f"{soft:,} (up to {'any' if hard == resource.RLIM_INFINITY else f'{hard:,}'})"
    if unlimited or soft >= FEW_FILES:
        return Check("open files", "ok", found)
    step = "ulimit -n 4096, in the shell that runs bench"
    state: State = "missing" if soft < TOO_FEW_FILES else "note"
    return Check("open files", state, found, step, stops_a_run=state == "missing")


def docker() -> Check:
    """Whether a cluster can be started with Docker; nothing else needs it."""
    name = "docker"
    program = shutil.which("docker")
    if program is None:
        step = "install Docker Engine and its compose plugin, for a CockroachDB cluster on this machine"
        return Check(name, "note", "not installed", step)
    engine = _said(program, "version", "--format", "{{.Server.Version}}")
    if engine is None:
        step = "start the Docker engine, and check that this user may use it: docker version"
        return Check(name, "note", f"{program}, but its engine does not answer", step)
    compose = _said(program, "compose", "version", "--short")
    if compose is None:
        step = "install the compose plugin: docker compose version"
        return Check(name, "note", f"engine {engine}, without the compose plugin", step)
    return Check(name, "ok", f"engine {engine}, compose {compose}")


def _said(*command: str) -> str | None:
    """Return what a command said, None where it failed."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
