"""What a statement costs the client while it is never idle: the whole stack and ``pgbench -M prepared`` on a null server.

    python tests/benchmarks/client_cpu_null.py [--rounds 5] [--seconds 4]

Against a real server the client waits most of the time, and a core that wakes up for one answer works from cold caches; how
often it does is the server's speed (docs/performance.md).  Here a server that answers at once sits on CPU 0 and the client,
in turn, on CPU 1.  Transactions of ten statements, BEGIN and COMMIT among them, over 20 connections; user+sys CPU seconds.
"""

# The load engine comes first: it patches the standard library before the driver is imported.
from bench.load import locust  # noqa: F401  # isort: skip

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from client_cpu_play import Nobody, Tally, catalogue
from null_workload import STATEMENTS, NullUser

from bench.load.engine import Engine
from bench.load.plan import Plan
from bench.load.waiting import install_native_wait
from bench.results.store import RunWriter
from bench.scenario.model import Scenario
from bench.scenario.schedule import make_schedule
from bench.target.base import Target

REGION = "us-east"
USERS = 20
SCRIPT = "BEGIN;\n" + "SELECT :client_id;\n" * (STATEMENTS - 2) + "COMMIT;\n"


@contextmanager
def null_server() -> Iterator[str]:
    """Yield the URL of a null server on CPU 0."""
    command = ["taskset", "-c", "0", sys.executable, str(Path(__file__).with_name("null_server.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"postgresql://bench@127.0.0.1:{process.stdout.readline().strip()}/null"
        finally:
            process.kill()


def pgbench(url: str, seconds: int) -> float:
    """Return CPU seconds a statement of pgbench, its start included."""
    with tempfile.NamedTemporaryFile("w", suffix=".pgb") as file:
        file.write(SCRIPT)
        file.flush()
        command = ["pgbench", "-n", "-M", "prepared", "-c", str(USERS), "-j", "1", "-T", str(seconds), "-f", file.name]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(["taskset", "-c", "1", *command, url], capture_output=True, text=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    [line] = [line for line in done.stdout.splitlines() if line.startswith("number of transactions actually")]
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used / (int(line.split(":")[1].split("/")[0]) * STATEMENTS)


def stack(url: str, seconds: int) -> float:
    """Return CPU seconds a statement of the whole stack, from the end of its first second to that of its last."""
    install_native_wait()
    scenario = Scenario.model_validate(
        {
            "name": "client-cpu-null",
            "question": "what does a statement cost a client that is never idle?",
            "workload": {"user": "null_workload:NullUser"},
            "model": "closed",
            "users": USERS,
            "regions": [{"name": REGION}],
            "phases": [{"name": "steady", "duration": seconds + 1, "rate": {"work": 1}}],
        }
    )
    target = Target("embedded", "postgres", "", "pg", {REGION: (url,)})
    schedule, users = make_schedule(scenario, 1), {REGION: USERS}
    plan = Plan(scenario, schedule, target, NullUser, catalogue(), None, "client-cpu-null", users)
    with tempfile.TemporaryDirectory() as folder, RunWriter(Path(folder) / "run") as writer:
        tally = Tally(writer)
        ended = Engine(plan, tally, Nobody(), lambda _: None).run()
        assert ended.status == "complete", ended
    first, last = tally.marks[0], tally.marks[-2]
    return (last[0] - first[0]) / (last[1] - first[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--only-stack", metavar="URL", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only_stack:
        print(stack(options.only_stack, options.seconds))
        return
    command = ["taskset", "-c", "1", sys.executable, "-W", "ignore", __file__, "--seconds", str(options.seconds)]
    floors, costs = [], []
    os.sched_setaffinity(0, {0})
    for _ in range(options.rounds):
        with null_server() as url:
            floors.append(pgbench(url, options.seconds))
            done = subprocess.run([*command, "--only-stack", url], stdout=subprocess.PIPE, text=True, check=True)
            costs.append(float(done.stdout.split()[-1]))
    ratios = [cost / floor for cost, floor in zip(costs, floors, strict=True)]
    for name, values in (("pgbench, µs", floors), ("whole stack, µs", costs)):
        print(f"{name:<18} {median(values) * 1e6:.1f} [{min(values) * 1e6:.1f}-{max(values) * 1e6:.1f}]")
    print(f"{'x pgbench':<18} {median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]")


if __name__ == "__main__":
    main()
