"""What a second worker process costs: transactions per CPU-second of the generator with one and with two workers.

Run ``python tests/benchmarks/workers.py``; ``--help`` lists the options.  The load is a closed model without think time
against null servers, so the generator is what is measured.  Each worker has a core of its own, which it shares with a null
server of its own: so every worker does the same, whether or not there is another.  CPU is user+sys of the workers as each
measures its own (``process_time``), and of the coordinator with its writing of the run store.

Two cores of one processor slow each other down (shared caches, or one being the other's hyperthread), which no program can
help.  So there is a third case: two runs of one worker each, at the same time, that know nothing of each other.
"""

# The load engine comes first: it patches the standard library before the driver is imported.
from bench.load import locust  # isort: skip

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.cli.merging import MergedStore
from bench.cli.statements import run_catalogue
from bench.load.plan import Plan
from bench.metrics.frame import Frame
from bench.results.store import RunWriter
from bench.scenario.model import Phase, Region, Scenario, Workload
from bench.scenario.schedule import make_schedule
from bench.stats.validity import Evidence
from bench.target.base import Target
from bench.team.briefing import Briefing
from bench.team.coordinator import Coordinator
from bench.team.framebook import Rows
from bench.team.roster import Crew

HERE = Path(__file__).parent
REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")
SETTLING_FRAMES = 2
"""Left out at the beginning; so is the last frame, which is not whole."""


@dataclass
class Load:
    """What was measured of one play."""

    workers: int
    transactions: int = 0
    cpu_s: float = 0.0
    seconds: float = 0.0
    coordinator_s: float = 0.0

    @property
    def per_cpu_s(self) -> float:
        return self.transactions / self.cpu_s

    @property
    def coordinator_share(self) -> float:
        """Of a core, for each worker."""
        return self.coordinator_s / self.seconds / self.workers


@dataclass
class Measured(MergedStore):
    """A run store that takes its measurements as frames come by."""

    load: Load = field(default_factory=lambda: Load(0))
    last: tuple[float, float] | None = None
    before: tuple[int, float] = (0, 0.0)

    def write(self, own: Frame, parts: Sequence[Rows]) -> Frame:
        now = (time.perf_counter(), time.process_time())
        if own.number > SETTLING_FRAMES and self.last is not None and parts:
            # A frame is counted once the next has come, so that the last one is not.
            seconds = now[0] - self.last[0]
            self.load.seconds += seconds
            self.load.coordinator_s += now[1] - self.last[1]
            self.load.transactions += self.before[0]
            self.load.cpu_s += self.before[1]
        self.last = now
        rows = [(table, record) for part in parts for table, records in part for record in records]
        done = sum(record[5] for table, record in rows if table == "transactions" and record[2] == "work")
        cpu = sum(record[0] for table, record in rows if table == "generator")
        self.before = (done, cpu) if own.number > SETTLING_FRAMES - 1 else (0, 0.0)
        return super().write(own, parts)


class NoObserver:
    """Nothing is to be seen of the null server."""

    def collect(self) -> dict[str, float]:
        return {}


def play(cores: Sequence[int], users: int, seconds: float) -> Load:
    """Play with a worker on each core."""
    scenario = Scenario(
        name="null",
        question="what does a worker cost?",
        workload=Workload(user="null_workload:NullUser"),
        model="closed",
        users=users * len(cores),
        phases=(Phase(name="steady", duration=seconds, rate={"work": (1.0, 1.0)}),),
        regions=tuple(Region(name=name) for name in REGIONS),
        drain=2.0,
    )
    from null_workload import NullUser

    # Each worker is told its own server; nobody uses this one.
    target = Target("url", "postgres", "18.0", "pg", dict.fromkeys(REGIONS, ("postgresql://null@127.0.0.1:1/null",)))
    each = dict.fromkeys(REGIONS, users * len(cores) // len(REGIONS))
    schedule = make_schedule(scenario, scenario.seed)
    plan = Plan(scenario, schedule, target, NullUser, run_catalogue(NullUser, "postgres"), None, "null", each)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        writer = stack.enter_context(RunWriter(Path(folder) / "run"))
        store = Measured(writer, Evidence(), lambda _: None, Load(len(cores)))
        for core in cores:
            database = stack.enter_context(null_server(core))
            stack.enter_context(worker(core, port, database))
        crew = Crew(0, len(cores), "127.0.0.1", port)
        coordinator = Coordinator(plan, Briefing("0" * 12, {}), crew, store, NoObserver(), lambda _: None)
        ended = coordinator.run()
        if ended.status != "complete":
            raise SystemExit(f"the play was not complete: {ended}")
        return store.load


@contextmanager
def null_server(core: int) -> Iterator[int]:
    words = ["taskset", "-c", str(core), sys.executable, str(HERE / "null_server.py")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


@contextmanager
def worker(core: int, port: int, database: int) -> Iterator[None]:
    words = ["taskset", "-c", str(core), sys.executable, "-P", "-c", "from bench.cli import main; main()", "worker"]
    words += ["--master", f"127.0.0.1:{port}", "--name", f"core{core}"]
    words += ["--url", f"postgresql://null@127.0.0.1:{database}/null"]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        try:
            yield
            process.wait(10)
        finally:
            process.kill()


def apart(users: int, seconds: float) -> Load:
    """Two runs of one worker each at the same time; return them as if they had been one."""
    words = [sys.executable, str(HERE / "workers.py"), "--users", str(users), "--seconds", str(seconds), "--core"]
    started = [subprocess.Popen([*words, str(core)], stdout=subprocess.PIPE, text=True) for core in (0, 1)]
    one, two = (Load(**json.loads(process.communicate()[0])) for process in started)
    both = (one.seconds + two.seconds) / 2, one.coordinator_s + two.coordinator_s
    return Load(2, one.transactions + two.transactions, one.cpu_s + two.cpu_s, *both)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--users", type=int, default=20, help="of each worker (default: 20)")
    parser.add_argument("--core", type=int, help="one run of one worker on this core, as JSON")
    options = parser.parse_args()
    # The workers find their user class from the current folder on.
    os.chdir(HERE)
    sys.path.append(str(HERE))
    if options.core is not None:
        print(json.dumps(vars(play([options.core], options.users, options.seconds))))
        return
    cases = {
        "one worker": lambda number: play([number % 2], options.users, options.seconds),
        "two workers": lambda _: play([0, 1], options.users, options.seconds),
        "two runs of one": lambda _: apart(options.users, options.seconds),
    }
    loads: dict[str, list[Load]] = {name: [] for name in cases}
    print(
        f"locust {locust.__version__}, {options.users} users a worker, {options.seconds:g} s, {options.rounds} rounds"
    )
    print(f"{'':<16} {'tx/s':>8} {'workers CPU':>12} {'tx/CPU-s':>9} {'coordinator, of a core a worker':>32}")
    for number in range(options.rounds):
        names = list(cases)
        for name in names[number % 3 :] + names[: number % 3]:
            load = cases[name](number)
            loads[name].append(load)
            print(
                f"{name:<16} {load.transactions / load.seconds:>8.0f} {load.cpu_s / load.seconds:>11.2f}  "
                f"{load.per_cpu_s:>9.0f} {load.coordinator_share:>31.2%}",
                flush=True,
            )
    show(loads)


def show(loads: dict[str, list[Load]]) -> None:
    one, two, beside = (median(load.per_cpu_s for load in found) for found in loads.values())
    print(f"medians of tx/CPU-s: {', '.join(f'{name} {value:.0f}' for name, value in zip(loads, (one, two, beside)))}")
    for name, against in (("one worker", one), ("two runs of one", beside)):
        ratios = [b.per_cpu_s / a.per_cpu_s for a, b in zip(loads[name], loads["two workers"], strict=True)]
        by_round = ", ".join(f"{ratio:.3f}" for ratio in ratios)
        print(f"two workers against {name}: {two / against:.3f}; median of rounds {median(ratios):.3f} ({by_round})")
    share = median(load.coordinator_share for load in loads["two workers"])
    print(f"coordinator of two: {share:.2%} of a core a worker")


if __name__ == "__main__":
    main()
