"""The search with the real engine against a responder of known capacity: c workers, every session as long as the last.

    python tests/benchmarks/capacity.py [--workers 2] [--service-ms 20] [--limit-ms 60] [--seconds 30]

The workers are places in this process: a session waits for one and sleeps.  Prints the interval and the true limit.  A sleep
is a little longer than asked for, by more on a busy machine, so the truth is that of the services as they really were: a long
simulation of the queue, its services drawn from the sleeps that happened.
"""

# The load engine comes first: it patches the standard library before the driver is imported.
from bench.load import locust  # noqa: F401  # isort: skip

import argparse
import heapq
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any, ClassVar

import gevent
import numpy as np
from gevent.lock import BoundedSemaphore

sys.path.insert(0, str(Path(__file__).parents[1]))

from client_cpu_null import null_server
from client_cpu_play import Nobody, catalogue
from queueing import Server

from bench.db.retry import Transaction
from bench.load.engine import Engine
from bench.load.plan import Plan
from bench.load.user import ShopUser
from bench.load.waiting import install_native_wait
from bench.results.manifest import Manifest
from bench.results.probe import read_answers, window
from bench.results.read import Run
from bench.results.store import RunWriter
from bench.scenario.model import Scenario
from bench.scenario.schedule import make_schedule
from bench.stats.knee import Trial, find_knee
from bench.stats.phases import Phase
from bench.stats.probing import judge_counts
from bench.stats.search import Search, next_rate
from bench.target.base import Target

REGION = "us-east"
WARM_UP_S = 3
USERS = 60
MOST = 20


class QueueUser(ShopUser):
    """Waits for a worker and keeps it for the service time."""

    abstract = True
    sessions: ClassVar = {"work": "work"}
    workers: ClassVar[Any] = None
    service_s: ClassVar[float] = 0.0
    slept: ClassVar[list[float]] = []

    def work(self, rng: Random) -> None:
        """One transaction: a place among the workers, then the service."""
        self.transact("work", Transaction(self._served), rng)

    def _served(self, session: Any) -> None:
        with self.workers:
            began = time.perf_counter()
            gevent.sleep(self.service_s)
            self.slept.append(time.perf_counter() - began)


def probe(server: Server, url: str, rate: float, seconds: int, folder: Path) -> Trial:
    scenario = Scenario.model_validate(
        {
            "name": "queue",
            "question": "does the search find a limit that is known?",
            "workload": {"user": "capacity:QueueUser"},
            "users": USERS,
            "regions": [{"name": REGION}],
            "drain": 3,
            "phases": [
                {"name": "warm-up", "duration": WARM_UP_S, "measured": False, "rate": {"work": rate}},
                {"name": "probe", "duration": seconds, "rate": {"work": rate}},
            ],
        }
    )
    target = Target("embedded", "postgres", "", "pg", {REGION: (url,)})
    plan = Plan(scenario, make_schedule(scenario, 1), target, QueueUser, catalogue(), None, "queue", {REGION: USERS})
    with RunWriter(folder) as writer:
        writer.write_manifest(manifest(scenario))
        ended = Engine(plan, writer.write_frame, Nobody(), lambda _: None).run()
        writer.finish(ended.status, ended.detail, None)
    with Run.open(folder) as run:
        part = window(run)
        counts = read_answers(run, part, server.objective).counts
    return judge_counts(counts, server.objective).trial(rate, counts)


def manifest(scenario: Scenario) -> Manifest:
    phases, start = [], 0.0
    for phase in scenario.phases:
        phases.append(Phase(phase.name, start, phase.duration, phase.measured))
        start += phase.duration
    rows = [{"name": p.name, "start_s": p.start_s, "duration_s": p.duration_s, "measured": p.measured} for p in phases]
    return Manifest.model_validate(
        {
            "run_id": "queue", "bench_version": "", "created_utc": "", "command": "", "seed": 1, "regions": (REGION,),
            "scenario": {"name": "queue", "phases": rows}, "workload": "queue",
            "target": {"kind": "embedded", "dialect": "postgres", "server_version": "", "safe_url": "", "variant": "pg",
                       "isolation": ""},
            "data": {"scale": "", "seed": 1, "fingerprint": ""}, "machine": {"os": "", "python": "", "cpus": 1},
        }
    )  # fmt: skip


def share_over(server: Server, slept: np.ndarray, rate: float, arrivals: int = 1_000_000) -> float:
    """The share over the limit in a long run whose services are drawn from those that happened."""
    rng = np.random.default_rng(7)
    came = np.cumsum(rng.exponential(1 / rate, arrivals)).tolist()
    served = rng.choice(slept, arrivals).tolist()
    free, over, settled = [0.0] * server.servers, 0, arrivals // 50
    for number, (at, takes) in enumerate(zip(came, served, strict=True)):
        ends = max(at, free[0]) + takes
        heapq.heapreplace(free, ends)
        over += number >= settled and ends - at > server.limit_s
    return over / (arrivals - settled)


def true_limit(server: Server, slept: np.ndarray) -> float:
    """The rate at which exactly a hundredth is over the limit, by bisection with the same arrivals and services."""
    low, high = 0.05 * server.servers / slept.mean(), server.servers / slept.mean()
    for _ in range(14):
        middle = (low + high) / 2
        low, high = (middle, high) if share_over(server, slept, middle) < 0.01 else (low, middle)
    return float(low + high) / 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--service-ms", type=float, default=20)
    parser.add_argument("--limit-ms", type=float, default=60)
    parser.add_argument("--seconds", type=int, default=30)
    options = parser.parse_args()
    server = Server(options.workers, options.service_ms / 1000, options.limit_ms / 1000)
    asked_for = server.true_limit()
    QueueUser.workers, QueueUser.service_s = BoundedSemaphore(options.workers), server.service_s
    install_native_wait()
    search = Search(asked_for / 6, asked_for / 100, asked_for * 100, server.objective.over_share)
    trials: list[Trial] = []
    with null_server() as url, tempfile.TemporaryDirectory() as folder:
        while len(trials) < MOST and (rate := next_rate(search, trials)) is not None:
            trials.append(probe(server, url, rate, options.seconds, Path(folder) / str(len(trials))))
            knee = find_knee(trials, search.allowed)
            print(f"{rate:8.1f}/s  {100 * trials[-1].share:6.2f} % over  limit {knee.low} to {knee.high}", flush=True)
    slept = np.array(QueueUser.slept)
    truth = true_limit(server, slept)
    holds = knee.low is not None and knee.high is not None and knee.low <= truth <= knee.high
    print(
        f"services took {1000 * slept.mean():.2f} ms on average, {1000 * np.quantile(slept, 0.99):.2f} ms at p99: "
        f"true limit {truth:.1f}/s (it would be {asked_for:.1f}/s for {options.service_ms:g} ms each)"
    )
    says = "holds" if holds else "does NOT hold"
    print(f"found {knee.low} to {knee.high} in {len(trials)} probes, which {says} the true limit")


if __name__ == "__main__":
    main()
