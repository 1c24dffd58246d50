"""What a gate is worth: verdicts on equal runs, on one statement made 30 % dearer, and on a vital index dropped.

Run ``python tests/benchmarks/gates.py`` on a machine at rest; ``--help`` lists the options.  All runs are real ones of the
scenario `gate` on an embedded server with a home of its own.  A run takes half a minute: with the defaults (a baseline of 5,
then 20 equal runs and 10 of each plant) some 25 minutes.

The dearer statement is a change of code: a copy of the package whose SQL makes the server count numbers, so many that the
statement takes 30 % longer (found by up to ten runs before the others).  The index is dropped in the seed that each run's
database is copied from.  Last, the baseline is said to come from a machine with one core more, and has to be refused.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median

import psycopg

from bench.cli.opening import SERVER_LIBRARIES, SERVER_SETTINGS
from bench.errors import ExitCode
from bench.target.embedded import EmbeddedServer, ServerOptions

ROOT = Path(__file__).parents[2]
STATEMENT = "home/top_sellers"
ANCHOR = " ORDER BY f.total_quantity_sold DESC, f.product_id\n LIMIT 12"
INDEX = "idx_orders_user_created"
DEARER = 0.3
CLOSE = 0.04


def package(folder: Path) -> Path:
    """Copy the package into a folder, as it is installed: the folders beside ``bench`` inside of it."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "bench", folder / "bench", ignore=ignored)
    for name in ("workloads", "reports", "schema", "scenarios"):
        shutil.copytree(ROOT / name, folder / "bench" / name, ignore=ignored)
    return folder


class Place:
    """A folder of runs, a home of servers, and the commands that use them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        self.baseline = folder / "baseline.json"

    def bench(self, *arguments: str, code: Path) -> "subprocess.CompletedProcess[str]":
        environment = {**os.environ, "BENCH_HOME": str(self.home), "PYTHONPATH": str(code)}
        environment.pop("GITHUB_STEP_SUMMARY", None)
        start = [sys.executable, "-P", "-c", "from bench.cli import main; main()"]
        return subprocess.run(
            [*start, *arguments], env=environment, cwd=self.folder, capture_output=True, text=True, check=False
        )

    def run(self, code: Path) -> str:
        """Run the scenario and return the folder of the run; one that is INVALID counts, since a gate has to say so."""
        done = self.bench("run", "gate", code=code)
        runs = sorted((self.folder / "runs").iterdir())
        if done.returncode not in (ExitCode.OK, ExitCode.NOT_VALID, ExitCode.OBJECTIVE_FAILED):
            raise SystemExit(done.stderr)
        return str(runs[-1])

    def valid_runs(self, count: int, code: Path) -> list[str]:
        """Return runs fit for a baseline; those that are not are done again, three times as many in all at most."""
        found: list[str] = []
        for _ in range(3 * count):
            run = self.run(code)
            if self.bench("baseline", "save", run, "--out", str(self.folder / "one.json"), code=code).returncode == 0:
                found.append(run)
            if len(found) == count:
                return found
        raise SystemExit("the machine is not at rest: most runs are INVALID")

    def gate(self, run: str, code: Path, baseline: Path | None = None) -> tuple[str, list[str]]:
        done = self.bench("gate", run, "--baseline", str(baseline or self.baseline), "--format", "json", code=code)
        if done.returncode == ExitCode.USAGE:
            return "REFUSED", done.stderr.splitlines()[:3]
        document = json.loads(done.stdout)
        assert document["exit_code"] == done.returncode
        return document["verdict"], document["reasons"][:2]

    def save(self, runs: list[str], code: Path) -> None:
        done = self.bench("baseline", "save", *runs, "--out", str(self.baseline), code=code)
        if done.returncode:
            raise SystemExit(done.stderr)

    def server(self) -> EmbeddedServer:
        return EmbeddedServer.start(self.home, ServerOptions(SERVER_SETTINGS, libraries=SERVER_LIBRARIES))


def quick_effect(place: Place, run: str, code: Path) -> float:
    """Return by how much the statement got dearer against the rest of its run, as `bench compare` says."""
    said = place.bench("compare", str(place.baseline), run, "--format", "json", code=code)
    rows = json.loads(said.stdout)["rows"]
    return next(float(row["effect"]) for row in rows if (row["name"], row["metric"]) == (STATEMENT, "quick_ms")) - 1


def calibrated(place: Place, code: Path) -> int:
    """Plant so many numbers that the statement takes 30 % longer; what they cost beside other work, only a run tells."""
    rows = 1000
    for _ in range(5):
        plant_statement(code, rows)
        effect = sum(quick_effect(place, place.run(code), code) for _ in range(2)) / 2
        print(f"calibrating: {rows} numbers are {effect:+.0%}", flush=True)
        if abs(effect - DEARER) <= CLOSE:
            break
        rows = max(10, round(rows * min(4.0, DEARER / max(effect, 0.05))))
    return rows


def plant_statement(code: Path, rows: int) -> None:
    """Make one statement of a copy of the package dearer."""
    text = (ROOT / "workloads" / "sql" / "browse.sql").read_text()
    assert text.count(ANCHOR) == 1, f"{STATEMENT} has changed: give this benchmark another anchor"
    planted = f" WHERE (SELECT count(*) FROM generate_series(1, {rows})) >= 0\n{ANCHOR}"
    (code / "bench" / "workloads" / "sql" / "browse.sql").write_text(text.replace(ANCHOR, planted))


def drop_index(place: Place) -> None:
    """Drop an index in every seed of the home, so that each run's database comes without."""
    with place.server() as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            seeds = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'seed\\_%'").fetchall()
        for (name,) in seeds:
            with psycopg.connect(server.url(name), autocommit=True) as connection:
                connection.execute(f"DROP INDEX {INDEX}")


def series(place: Place, name: str, count: int, code: Path) -> Counter[str]:
    """Run and judge so many times; show each verdict."""
    found: Counter[str] = Counter()
    for number in range(1, count + 1):
        verdict, reasons = place.gate(place.run(code), code)
        found[verdict] += 1
        print(f"{name:<10} {number:>3}  {verdict:<13} {'; '.join(reasons)[:150]}", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--baseline", type=int, default=5, help="runs of the baseline")
    parser.add_argument("--runs", type=int, default=20, help="equal runs")
    parser.add_argument("--dearer", type=int, default=10, help="runs with a dearer statement")
    parser.add_argument("--dropped", type=int, default=10, help="runs without the index")
    options = parser.parse_args()
    parent = "/var/tmp" if os.path.isdir("/var/tmp") else None
    with tempfile.TemporaryDirectory(prefix="shopbench-gates-", dir=parent) as folder:
        Path(folder).chmod(0o755)
        place = Place(Path(folder))
        code, dearer = package(Path(folder) / "as_is"), package(Path(folder) / "dearer")
        began = time.monotonic()
        place.run(code)  # seeds, which leaves the server's caches in a state of its own
        place.save(place.valid_runs(options.baseline, code), code)
        rows = calibrated(place, dearer)
        table = {"equal": series(place, "equal", options.runs, code)}
        table["statement"] = series(place, "statement", options.dearer, dearer)
        planted = sorted((place.folder / "runs").iterdir())[-options.dearer :]
        effect = median(quick_effect(place, str(run), code) for run in planted)
        drop_index(place)
        table["index"] = series(place, "index", options.dropped, code)
        other = Path(folder) / "other.json"
        document = json.loads(place.baseline.read_text())
        for run in document["runs"]:
            run["identity"]["machine.cpus"] = str(int(run["identity"]["machine.cpus"]) + 1)
        other.write_text(json.dumps(document))
        table["machine"] = Counter([place.gate(str(sorted((place.folder / "runs").iterdir())[0]), code, other)[0]])
        print(
            f"\n{options.baseline} runs in the baseline; {STATEMENT} with {rows} numbers {effect:+.0%}; index {INDEX}"
        )
        verdicts = ("PASS", "FAIL", "INCONCLUSIVE", "INVALID", "REFUSED")
        print(f"{'':<12}{''.join(f'{verdict:>14}' for verdict in verdicts)}")
        for name, found in table.items():
            print(f"{name:<12}{''.join(f'{found[verdict]:>14}' for verdict in verdicts)}")
        print(f"took {(time.monotonic() - began) / 60:.0f} min")


if __name__ == "__main__":
    main()
