"""Real runs of the real command, on a server of their own."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests_support import HANG_S, command

from bench.metrics.frame import TransactionCell
from bench.metrics.recorder import DROPPED
from bench.results.files import find_run
from bench.results.read import Run
from bench.target.supervisor import children

TIMED = frozenset({"test_stall", "test_tail", "test_verdict", "test_workers", "test_live_audit", "test_faults"})
"""Modules of real runs whose moments matter: on a machine that others use as well, one may come out otherwise once.

Whether data is right is never a matter of time: test_strategies, the audits of workloads, and strategies across a restart
are not among them.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run a test of these again when it fails; the closing line counts reruns."""
    for item in items:
        is_timed = item.path.stem in TIMED and item.path.parent == Path(__file__).parent
        if is_timed and "a_correct_strategy" not in item.name:
            item.add_marker(pytest.mark.flaky(reruns=2))


STEADY = """
name = "steady-browse"
question = "what does a stall do?"
users = 4
scale = "tiny"
[workload]
user = "bench.workloads.flash_sale:FlashSaleUser"
[[phases]]
name = "steady"
duration = "10s"
rate = { browse = "40/s" }
"""


@dataclass
class Play:
    """A run in the background."""

    process: "subprocess.Popen[str]"
    folder: Path
    home: Path

    def until(self, seconds: float) -> None:
        """Wait until the run's store holds this many seconds."""
        self._await(lambda: self.recorded_s() >= seconds)

    def recorded_s(self) -> float:
        stores = list((self.folder / "runs").glob("*/run.sqlite"))
        if not stores:
            return 0.0
        try:
            with Run.open(stores[0].parent) as run:
                return run.last_s
        except Exception:
            # The store is being made at this very moment.
            return 0.0

    def _await(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + HANG_S
        while not condition():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, "the run does not get on"
            time.sleep(0.05)

    def postmaster(self) -> int:
        files = list(self.home.glob("postgres-*/*/data/postmaster.pid"))
        for file in files:
            with suppress(FileNotFoundError, IndexError):  # of a server that has just ended, or is about to write it
                pid = int(file.read_text().split()[0])
                if _parent_run(pid, self.process.pid):
                    return pid
        raise AssertionError("the run has no server")

    def signal_server(self, number: int) -> tuple[int, ...]:
        """Send a signal to every process of the server, to the first before its children, so that it makes no more.

        Returns their ids.
        """
        pid = self.postmaster()
        os.kill(pid, number)
        made = tuple(children(pid))
        signal_all(made, number)
        return pid, *made

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=HANG_S)
        return self.process.returncode, out, err

    def run(self) -> Run:
        return Run.open(find_run(self.folder / "runs", "last"))


def signal_all(pids: Iterable[int], number: int) -> None:
    """Send a signal to those that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _parent_run(pid: int, wanted: int) -> bool:
    """Whether a postmaster belongs to our process: it is the child of its supervisor, which is the child of bench."""
    supervisor = _parent(pid)
    return supervisor is not None and _parent(supervisor) == wanted


def _parent(pid: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return None


Start = Callable[..., Play]


@pytest.fixture
def start(home: Path, tmp_path: Path) -> Iterator[Start]:
    """Start ``bench run`` in a folder of its own; whatever is left of it at the end is killed by its id."""
    started: list[Play] = []

    def begin(*arguments: str) -> Play:
        process = subprocess.Popen(
            [command(), "run", *arguments],
            cwd=tmp_path,
            env={**os.environ, "BENCH_HOME": str(home), "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(Play(process, tmp_path, home))
        return started[-1]

    yield begin
    for play in started:
        if play.process.poll() is None:
            play.process.send_signal(signal.SIGKILL)
        play.process.communicate()


@pytest.fixture
def steady(tmp_path: Path) -> str:
    """A scenario file: few users, forty browsers a second."""
    path = tmp_path / "steady.toml"
    path.write_text(STEADY)
    return str(path)


def was_started(cell: TransactionCell) -> bool:
    """Whether a cell is of sessions, and of such as had a user: what was dropped never had."""
    return cell.name.startswith("session:") and cell.outcome != DROPPED
