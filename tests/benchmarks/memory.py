"""Memory of the load generator: resident megabytes of `bench run` over minutes at a fixed rate of transactions.

    python tests/benchmarks/memory.py --minutes 10 --rate 2000

What is asserted of it elsewhere: after ten minutes it is within 10 % of what it was after one.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent

SCENARIO = """
name = "memory"
question = "does the generator grow?"
users = {users}
scale = "tiny"
[workload]
user = "one_statement:OneStatementUser"
[[phases]]
name = "steady"
duration = "{seconds:g}s"
rate = {{ look = "{rate:g}/s" }}
"""


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in megabytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmRSS"))) / 1024


def measure(minutes: float, rate: float, users: int) -> list[tuple[float, float]]:
    """Return (seconds since the first frame, resident MB), one pair every ten seconds."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        scenario = Path(folder) / "memory.toml"
        scenario.write_text(SCENARIO.format(users=users, seconds=60 * minutes, rate=rate))
        process = subprocess.Popen(
            [Path(sys.executable).with_name("bench"), "run", str(scenario), "--no-distance", "--out", folder],
            env={**os.environ, "BENCH_HOME": f"{folder}/home", "PYTHONPATH": str(HERE)},
            cwd=folder,
        )
        found = []
        while not list(Path(folder).glob("*/run.sqlite")) and process.poll() is None:
            time.sleep(0.1)
        began = time.monotonic()
        while process.poll() is None and time.monotonic() - began < 60 * minutes:
            found.append((time.monotonic() - began, resident_mb(process.pid)))
            time.sleep(10)
        process.wait()
        return found


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=2000)
    parser.add_argument("--users", type=int, default=20)
    given = parser.parse_args()
    series = measure(given.minutes, given.rate, given.users)
    for at, megabytes in series:
        print(f"{at:6.0f} s  {megabytes:7.1f} MB")
    after_one = next((mb for at, mb in series if at >= 55), None)
    if after_one is not None:
        print(f"last / after one minute: {series[-1][1] / after_one:.3f}")


if __name__ == "__main__":
    main()
