"""What the benchmarks share: a server to measure against, and the CPU time of one of its processes."""

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from bench.cli.preparing import SERVER_SETTINGS
from bench.target.embedded import EmbeddedServer, ServerOptions


@contextmanager
def database(url: str | None, settings: Mapping[str, str] = SERVER_SETTINGS) -> Iterator[str]:
    """Yield the URL of an empty database on the server given, or on one of our own with the settings of a run."""
    if url is not None:
        with _scratch(url) as name:
            yield psycopg.conninfo.make_conninfo(url, dbname=name)
        return
    home = Path(tempfile.mkdtemp(prefix="shopbench-benchmark-", dir="/var/tmp" if os.path.isdir("/var/tmp") else None))
    home.chmod(0o755)
    try:
        with (
            EmbeddedServer.start(home, ServerOptions(settings)) as server,
            _scratch(server.url()) as name,
        ):
            yield server.url(name)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _scratch(url: str) -> Iterator[str]:
    name = f"benchmark_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield name
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def cpu_s(pid: int) -> float:
    """Return the CPU seconds that a process on this machine has used; to the nanosecond, where /proc/<pid>/stat has ticks."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@contextmanager
def awake(wanted: bool = True) -> Iterator[None]:
    """Keep every core from halting, by a loop on each that runs only while nothing else wants to.

    On a virtual machine a halted core is the host's to give back: waking up takes 30 µs of a client's CPU time and now and
    then milliseconds, and a benchmark of short work measures little else.  ``idle=poll`` does the same for a kernel.
    """
    with ExitStack() as stack:
        for cpu in os.sched_getaffinity(0) if wanted else ():
            loop = stack.enter_context(subprocess.Popen([sys.executable, "-c", _LOOP, str(cpu)]))
            stack.callback(loop.kill)
        yield


_LOOP = """
import os, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
parent = os.getppid()
while os.getppid() == parent:
    for _ in range(100_000):
        pass
"""
