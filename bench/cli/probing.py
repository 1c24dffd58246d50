"""One probe of capacity: a run of the real engine in a process of its own, watched, and ended as soon as it is clear."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bench.cli.processes import machine_seconds, server_seconds
from bench.errors import BenchError, ExitCode, TargetError
from bench.results.probe import Window, read_answers, window
from bench.results.read import Run
from bench.results.store import MANIFEST_NAME, write_atomically
from bench.scenario.model import Scenario
from bench.scenario.probe import probe_scenario
from bench.scenario.writing import to_toml
from bench.stats.probing import Objective, judge_counts, looks

_POLL_S = 0.5
_GOES_ON = frozenset(
    {ExitCode.OK, ExitCode.NOT_VALID, ExitCode.OBJECTIVE_FAILED, ExitCode.INTERRUPTED, ExitCode.DATA_WRONG}
)


@dataclass(frozen=True, slots=True)
class Bench:
    """What all probes of a search share: ``arguments`` are those of ``bench run`` beside the scenario.

    ``environment`` names the database where it is not the embedded server's: a command line is for everyone to read.
    """

    scenario: Scenario
    objective: Objective
    arguments: tuple[str, ...]
    runs: Path
    folder: Path
    warm_up_s: float
    longest_s: int
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ran:
    """A probe that has ended: its run, shares of all cores used in the measured time, and how it ended.

    ``prepared_s`` passed until its store was there: the first probe of a search waits for a server and its data.
    """

    path: Path
    prepared_s: float
    server_cpu: float | None
    machine_cpu: float | None
    looked: int
    ended_early: bool
    exit_code: int


@dataclass(slots=True)
class _Meter:
    """CPU of the embedded server's processes and of the machine, between two moments; nothing of a server elsewhere."""

    pid: int
    first: tuple[float, float, float, float] | None = None
    last: tuple[float, float, float, float] | None = None
    _most: dict[int, float] = field(default_factory=dict)

    def read(self) -> None:
        machine = machine_seconds()
        spent = server_seconds(self.pid)
        if machine is None or not spent:
            return
        # A process that has ended stays counted: its time is then in its parent's as well, but servers' sessions last a run.
        self._most |= spent
        self.last = (time.monotonic(), sum(self._most.values()), *machine)
        self.first = self.first or self.last

    def shares(self) -> tuple[float | None, float | None]:
        """Return the shares of all cores that the server and all programs together used."""
        if self.first is None or self.last is None or self.last[0] - self.first[0] < 1:
            return None, None
        took, server, busy, ticks = (last - first for last, first in zip(self.last, self.first, strict=True))
        return server / took / (os.cpu_count() or 1), busy / ticks if ticks else None


class Prober:
    """Makes probes, one after the other."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.made = 0
        self._stops = 0
        self._process: subprocess.Popen[bytes] | None = None

    def stop(self) -> None:
        """End the probe in order, and raise KeyboardInterrupt from ``run``; the second time do not wait for it."""
        self._stops += 1
        if self._stops > 1 and self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)

    def run(self, rate: float, longest_s: int, *, may_end_early: bool = True) -> Ran:
        """Run one probe at a rate of sessions a second; KeyboardInterrupt when it was stopped."""
        bench = self.bench
        self.made += 1
        made = probe_scenario(bench.scenario, rate, (bench.warm_up_s, longest_s), bench.scenario.seed + self.made)
        file = bench.folder / f"probe-{self.made:02d}.toml"
        write_atomically(file, to_toml(made))
        log = file.with_suffix(".log")
        before = set(_folders(bench.runs, made.name))
        with log.open("w", encoding="utf-8") as said:
            # A session of its own, so that Ctrl-C reaches it through us, and once.
            process = subprocess.Popen(
                [sys.executable, "-P", "-c", "from bench.cli import main; main()", "run", str(file), *bench.arguments],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, **bench.environment},
                start_new_session=True,
            )
            self._process = process
            began = time.monotonic()
            try:
                path, meter, early, found_at = self._watch(
                    process, str(file), longest_s if may_end_early else None, before
                )
            except BaseException:
                _end(process)
                raise
        if path is None or process.returncode not in _GOES_ON:
            raise _failed(process.returncode, log)
        looked = len(looks(longest_s)) if may_end_early else 1
        return Ran(path, found_at - began, *meter.shares(), looked, early, process.returncode)

    def _watch(
        self, process: "subprocess.Popen[bytes]", file: str, longest_s: int | None, before: set[Path]
    ) -> tuple[Path | None, _Meter, bool, float]:
        meter, early, path = _Meter(process.pid), False, None
        found_at = time.monotonic()
        due = list(looks(longest_s)) if longest_s else []
        name = self.bench.scenario.name
        while process.poll() is None:
            time.sleep(_POLL_S)
            if self._stops:
                raise KeyboardInterrupt
            if path is None:
                path, found_at = _own(set(_folders(self.bench.runs, name)) - before, file), time.monotonic()
            part = _part(path) if path else None
            if path is None or part is None or early:
                continue
            if 0 < part.seconds < self.bench.longest_s * 2:
                meter.read()
            if due and part.seconds >= due[0]:
                due = [at for at in due if at > part.seconds]
                early = bool(due) and self._is_clear(path, part, longest_s or 0)
                if early:
                    process.send_signal(signal.SIGINT)
        path = path or _own(set(_folders(self.bench.runs, name)) - before, file)
        return path, meter, early, found_at

    def _is_clear(self, path: Path, part: Window, longest_s: int) -> bool:
        with suppress(BenchError), Run.open(path) as run:
            objective = self.bench.objective
            answers = read_answers(run, part, objective, objective.region)
            return judge_counts(answers.counts, objective, len(looks(longest_s))).verdict != "unclear"
        return False


def _folders(runs: Path, name: str) -> Iterator[Path]:
    return runs.glob(f"*-{name}-*") if runs.is_dir() else iter(())


def _own(found: set[Path], file: str) -> Path | None:
    """Return the folder among some whose run was started with our file: others may run the same scenario."""
    for path in found:
        with suppress(OSError):
            if file in (path / MANIFEST_NAME).read_text(encoding="utf-8"):
                return path
    return None


def _part(path: Path) -> Window | None:
    with suppress(BenchError, StopIteration), Run.open(path) as run:
        return window(run)
    return None


def _end(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait()


def _failed(code: int | None, log: Path) -> BenchError:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-6:]
    cause = next((line.removeprefix("error: ") for line in lines if line.startswith("error: ")), f"exit code {code}")
    error = TargetError("a probe could not be run", cause=cause, hint=f"what it said is in {log}")
    with suppress(ValueError):
        error.exit_code = ExitCode(code or int(ExitCode.BUG))
    return error
