"""The report of a long run: wall time, CPU and peak memory of `bench report` on an hour of four regions and 25 transactions.

    python tests/benchmarks/report.py --minutes 60 --statements 8

The store is made here: 1,000 transactions a second by default, of 25 kinds in four regions, each with its statements,
attempts, retries, arrivals, orders and counters, a frame a second.  Limits: 10 seconds, 500 MB.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.metrics.histogram import Histogram
from bench.results.manifest import Manifest
from bench.results.rows import Row, TableRows
from bench.results.store import RunWriter
from bench.stats.validity import Validity

REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")
DISTANCE_MS = (0.0, 62.0, 78.0, 182.0)
VARIANTS = 24
"""Histograms made for each cell: frames take one of them in turn, so that making the store does not take an hour as well."""


@dataclass(frozen=True)
class Size:
    """How large the run is."""

    minutes: float
    transactions: int
    statements: int
    rate: float


def manifest(size: Size) -> Manifest:
    """Return the manifest of the run."""
    phases = [{"name": "warm-up", "start_s": 0, "duration_s": 60, "measured": False}]
    phases += [{"name": "steady", "start_s": 60, "duration_s": 60 * size.minutes - 60, "measured": True}]
    return Manifest.model_validate(
        {
            "run_id": "hour",
            "bench_version": "0",
            "created_utc": "2026-01-01T00:00:00Z",
            "command": "bench run hour",
            "scenario": {"name": "hour", "phases": phases},
            "seed": 1,
            "regions": REGIONS,
            "target": {
                "kind": "embedded",
                "dialect": "postgresql",
                "server_version": "PostgreSQL 18",
                "safe_url": "postgresql://shop@127.0.0.1/shop",
                "variant": "pg",
                "isolation": "SERIALIZABLE",
            },
            "distance_ms": dict(zip(REGIONS, DISTANCE_MS, strict=True)),
            "data": {"scale": "small", "seed": 1, "fingerprint": "0"},
            "machine": {"os": "Linux", "python": "3", "cpus": 2},
            "workload": "hour:User",
        }
    )


class Maker:
    """The rows of each second."""

    def __init__(self, size: Size) -> None:
        self.rng = np.random.default_rng(1)
        weights = 1 / np.arange(1, size.transactions + 1)
        each = size.rate / len(REGIONS) * weights / weights.sum()
        self.cells = [
            self._cell(region, distance, f"transaction_{number}", mean, size.statements)
            for region, distance in zip(REGIONS, DISTANCE_MS, strict=True)
            for number, mean in enumerate(each)
        ]
        self.arrivals = [self._times(1.0, 0.0, 20) for _ in range(VARIANTS)]

    def _times(self, median_ms: float, distance_ms: float, count: int) -> bytes:
        values = (self.rng.lognormal(np.log(median_ms), 0.6, count) + distance_ms) * 1e6
        return Histogram.of(values.astype(np.int64)).to_bytes()

    def _cell(self, region: str, distance: float, name: str, mean: float, statements: int) -> list[list[TableRows]]:
        """Return what each variant of a second adds to the tables for one region and transaction."""
        found = []
        for count in self.rng.poisson(mean, VARIANTS).tolist():
            rows: list[TableRows] = []
            if count:
                whole = self._times(20.0, distance * (statements + 2), count)
                tx: Row = (region, name, "ok", "ok", count, count, whole, whole)
                stmts: list[Row] = [
                    (region, name, statement, count, 0, self._times(1.0 + place, distance, count))
                    for place, statement in enumerate([*(f"statement_{n}" for n in range(statements)), "COMMIT"])
                ]
                stmts.append((region, name, "(attempt)", count, 0, whole))
                rows = [("transactions", [tx]), ("statements", stmts)]
                if count > mean:
                    retry: Row = (region, name, "COMMIT", "serialization_failure", f"SKU-{count % 9}", 1, 20_000_000)
                    rows.append(("retries", [retry]))
            found.append(rows)
        return found

    def frame(self, second: int) -> Iterator[TableRows]:
        """Yield the rows of one second."""
        phase = "warm-up" if second < 60 else "steady"
        for cell, variant in zip(self.cells, self.rng.integers(0, VARIANTS, len(self.cells)).tolist(), strict=True):
            for table, rows in cell[variant]:
                yield table, [(phase, *row) for row in rows]
        for number, region in enumerate(REGIONS):
            lag = self.arrivals[(second + number) % VARIANTS]
            yield "arrivals", [(phase, region, "shop", 20, 20, 0, lag, lag)]
            yield "transactions", [(phase, region, "session:shop", "ok", "ok", 20, 20, lag, lag)]
            taken = json.dumps([["p", None, region, 1]])
            order = f"{second}-{number}"
            yield (
                "journal",
                [(region, f"{order}-{n}", order, order, "9.90", "paid", 1, second, taken) for n in range(5)],
            )
        yield "generator", [(0.5, 5.0, 1.0, 500, 100, 0, "", 0.0)]
        yield "server", [(f"counter_{n}", float(second * n)) for n in range(30)]
        trail = json.dumps([["statement_0", 150.0], ["COMMIT", 40.0]])
        slow = (second, phase, "asia-pac", "transaction_1", "ok", 400.0, 390.0, 1, trail, 1.0, 9.0, 0.0, "[]", "")
        yield "slow", [slow] * 5


def make(folder: Path, size: Size) -> None:
    """Write the store."""
    maker = Maker(size)
    with RunWriter(folder) as writer:
        writer.write_manifest(manifest(size))
        for second in range(round(60 * size.minutes)):
            writer.write_rows(second + 1, second + 1.0, 1_767_225_600.0 + second, maker.frame(second))
        writer.finish("complete", "", Validity("VALID", ()))


def main() -> None:
    """Make, measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--transactions", type=int, default=25)
    parser.add_argument("--statements", type=int, default=8)
    parser.add_argument("--rate", type=float, default=1000, help="transactions a second")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="make the store here, or use the one that is there")
    given = parser.parse_args()
    size = Size(given.minutes, given.transactions, given.statements, given.rate)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        folder = given.keep or Path(scratch) / "hour"
        if not (folder / "run.sqlite").exists():
            began = time.monotonic()
            make(folder, size)
            print(f"made in {time.monotonic() - began:.0f} s: {(folder / 'run.sqlite').stat().st_size / 1e6:.0f} MB")
        for _ in range(given.rounds):
            print(measure(folder))
        print(f"report.html {(folder / 'report.html').stat().st_size / 1e6:.2f} MB")


def measure(folder: Path) -> str:
    """Return what one `bench report` took."""
    began = time.monotonic()
    command = [Path(sys.executable).with_name("bench"), "report", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    assert os.waitstatus_to_exitcode(status) == 0
    cpu = used.ru_utime + used.ru_stime
    return f"wall {wall:5.2f} s  CPU {cpu:5.2f} s  peak {used.ru_maxrss / 1024:4.0f} MB"


if __name__ == "__main__":
    main()
