"""How late an open schedule hands out its arrivals, and how late their sessions start, against a bare timerfd loop.

Run ``python tests/benchmarks/arrivals.py``; ``--help`` lists the options.  Each measurement is a process of its own: the real
engine with users that send one statement a session, and in turns with it a loop that does nothing but wait for the same
times, which is the floor that this machine allows.  Times are milliseconds.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any, ClassVar

import psycopg
from common import awake, database

QUANTILES = (50.0, 99.0, 99.9)
REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")
SKIPPED_FRAMES = 1
"""Frames at the start that are left out: imports, caches and connections warm up."""
STATEMENT = "server_time"


def scenario(rate: float, seconds: float, users: int) -> Any:
    from bench.scenario.parse import build_scenario

    phases = [{"name": "steady", "duration": seconds, "rate": {"one": rate}}]
    data = {"name": "arrivals", "question": "?", "workload": {"user": "m:C"}, "users": users, "phases": phases}
    return build_scenario(data, "arrivals")


def measure_floor(rate: float, seconds: float) -> dict[str, list[float]]:
    """Wait for each arrival of the schedule and do nothing else."""
    import time

    import numpy as np

    import bench.load  # noqa: F401
    from bench.load.clock import alarm
    from bench.scenario.schedule import make_schedule

    due = make_schedule(scenario(rate, seconds, 4), 1).due_ns.tolist()
    wait_until, late, clock = alarm(), [], time.perf_counter_ns
    origin = clock() + 300_000_000
    for each in due:
        wait_until(origin + each)
        late.append(clock() - origin - each)
    found = np.percentile(np.array(late[int(rate) * SKIPPED_FRAMES :]) / 1e6, QUANTILES).tolist()
    return {"dispatch": found, "start": found}


def measure_engine(url: str, rate: float, seconds: float, users: int) -> dict[str, Any]:
    """Play the schedule with the real engine and read its own histograms."""
    import bench.load  # noqa: F401
    from bench.db.catalogue import Catalogue, read_package
    from bench.load.engine import Engine
    from bench.load.plan import Plan
    from bench.load.user import ShopUser
    from bench.load.waiting import install_native_wait
    from bench.metrics.frame import Frame
    from bench.metrics.histogram import Histogram
    from bench.scenario.pool import size_pool
    from bench.scenario.schedule import make_schedule
    from bench.target.base import Target

    class OneStatement(ShopUser):
        """Sends one statement a session."""

        abstract = True
        sessions: ClassVar = {"one": "one"}

        def one(self, rng: Any) -> None:
            self.session.execute(STATEMENT)

    class Silent:
        """Reads no counters."""

        def collect(self) -> dict[str, float]:
            return {}

    install_native_wait()
    asked, frames = scenario(rate, seconds, users), list[Frame]()
    packages = [("bench.db", "sql"), ("bench.audit", "sql"), ("bench.workloads", "sql")]
    catalogue = Catalogue.load([read_package(*package) for package in packages], "postgres")
    target = Target("url", "postgres", "", "pg", dict.fromkeys(REGIONS, (url,)))
    pool = size_pool(asked, OneStatement.exchanges).users
    plan = Plan(asked, make_schedule(asked, 1), target, OneStatement, catalogue, None, "benchmark", pool)
    ended = Engine(plan, frames.append, Silent(), lambda _: None).run()
    if ended.status != "complete":
        raise SystemExit(f"the run ended as {ended}")
    kept = [cell for frame in frames[SKIPPED_FRAMES:] for cell in frame.arrivals]
    dispatch, start = Histogram.merge(c.dispatch for c in kept), Histogram.merge(c.lag for c in kept)
    cells = [frame.generator for frame in frames[SKIPPED_FRAMES:] if frame.generator]
    return {
        "dispatch": [dispatch.percentile_ms(q) for q in QUANTILES],
        "start": [start.percentile_ms(q) for q in QUANTILES],
        "cpu": median(cell.cpu_share for cell in cells),
        "stall": max(cell.stall_ms for cell in cells),
        "gc": max(cell.gc_ms for cell in cells),
    }


def one(arguments: Sequence[str], cpu: int | None) -> dict[str, Any]:
    """Measure in a process of its own, on a core of its own where one is named."""
    before = os.sched_getaffinity(0)
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", __file__, *arguments], capture_output=True, text=True, check=False
        )
    finally:
        os.sched_setaffinity(0, before)
    if done.returncode:
        raise SystemExit(done.stderr)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def pin_server(url: str, cpu: int) -> None:
    """Bind the postmaster, and so every backend that it starts from now on, to one core."""
    with psycopg.connect(url) as connection:
        status = Path(f"/proc/{connection.info.backend_pid}/stat").read_text()
    os.sched_setaffinity(int(status.rsplit(")", 1)[1].split()[1]), {cpu})


def row(name: str, rounds: Sequence[Sequence[float]]) -> str:
    middle = [median(values) for values in zip(*rounds)]
    best = [min(values) for values in zip(*rounds)]
    return f"{name:<16} {' '.join(f'{v:>7.3f}' for v in middle)}   {' '.join(f'{v:>7.3f}' for v in best)}"


def show(title: str, floors: Sequence[dict[str, Any]], engines: Sequence[dict[str, Any]]) -> None:
    print(f"\n{title}\n{'':<16} {'median of rounds: p50, p99, p99.9':<25} best of rounds")
    floor = [each["dispatch"] for each in floors]
    print(row("floor", floor))
    for kind in ("dispatch", "start"):
        print(row(f"engine {kind}", [each[kind] for each in engines]))
        ratios = [
            median(e[kind][q] / max(f["dispatch"][q], 1e-3) for e, f in zip(engines, floors))
            for q in range(len(QUANTILES))
        ]
        print(f"{'  times floor':<16} {' '.join(f'{ratio:>7.2f}' for ratio in ratios)}")
    notes = [f"{name} {max(each[name] for each in engines):.2f}" for name in ("cpu", "stall", "gc")]
    print(f"engine at worst: {', '.join(notes)} (share of a core; longest stall and collector's time in a second, ms)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=2000.0, help="arrivals per second (default: 2000)")
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each measurement (default: 8)")
    parser.add_argument("--users", type=int, default=80, help="pool of users (default: 80)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--url", help="a PostgreSQL on this machine; default: an embedded one")
    parser.add_argument("--pin", choices=("no", "yes", "both"), default="both", help="server and client on a core each")
    parser.add_argument("--awake", action="store_true", help="keep the cores from halting")
    parser.add_argument("--only", choices=("floor", "engine"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only == "floor":
        print(json.dumps(measure_floor(options.rate, options.seconds)))
        return
    if options.only == "engine":
        print(json.dumps(measure_engine(options.url, options.rate, options.seconds, options.users)))
        return
    common = ["--rate", str(options.rate), "--seconds", str(options.seconds), "--users", str(options.users)]
    print(f"{options.rate:g} arrivals/s, {options.seconds:g} s, {options.rounds} rounds, {os.cpu_count()} cores; ms")
    with awake(options.awake), database(options.url) as url:
        for pinned in {"no": (False,), "yes": (True,), "both": (False, True)}[options.pin]:
            if pinned:
                pin_server(url, 0)
            floors, engines = [], []
            for _ in range(options.rounds):
                floors.append(one(["--only", "floor", *common], 1 if pinned else None))
                engines.append(one(["--only", "engine", "--url", url, *common], 1 if pinned else None))
            show("server on core 0, client on core 1" if pinned else "wherever the system puts them", floors, engines)


if __name__ == "__main__":
    main()
