"""How near a whole load is to its floor: the same blocks made beforehand, over the same connections, with the same indexes.

    python tests/benchmarks/seeding.py [--scale medium] [--rounds 1]

Both ways run the loader itself; the floor's data set reads each block from a file instead of making it.  Wall seconds,
alternated; the ratio is printed for each round.
"""

import argparse
import os
import resource
import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from statistics import median

from bench.cli.opening import SERVER_SETTINGS
from bench.data.blocks import Block, DataSet, Rows
from bench.data.loader import LoadOptions, LoadReport, load
from bench.data.spec import SeedSpec
from bench.data.vocabulary import Format
from bench.db.admin import Admin
from bench.db.connection import connect
from bench.db.ddl import Schema, load_schema
from bench.target.embedded import EmbeddedServer, ServerOptions

REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")


class Premade(DataSet):
    """A data set whose blocks were made before, and lie in one file."""

    def __init__(self, made: DataSet, path: Path) -> None:
        super().__init__(made.spec, made.ledger)
        self._rows: dict[Block, tuple[int, int, Rows]] = {}
        with path.open("wb") as out:
            for block in made.blocks():
                rows = made.make(block, "binary")
                self._rows[block] = out.tell(), len(rows.body), Rows(rows.table, rows.columns, b"", rows.count)
                out.write(rows.body)
        self._file = os.open(path, os.O_RDONLY)

    def make(self, block: Block, fmt: Format) -> Rows:
        start, size, rows = self._rows[block]
        return Rows(rows.table, rows.columns, os.pread(self._file, size, start), rows.count)


def timed(server: EmbeddedServer, schema: Schema, data: DataSet, options: LoadOptions) -> LoadReport:
    with connect(server.url()) as connection:
        admin = Admin.of(connection, "postgres")
        admin.drop_database("benchmark")
        admin.create_database("benchmark")
        connection.execute("CHECKPOINT")
    return load(dict.fromkeys(REGIONS, server.url("benchmark")), schema, data, options)


def told(label: str, seconds: Mapping[str, float]) -> str:
    parts = ", ".join(f"{phase} {took:.1f}" for phase, took in seconds.items() if phase != "total")
    return f"{label:<10} {seconds['total']:7.1f} s  ({parts})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", default="medium")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--connections", type=int, default=2)
    given = parser.parse_args()
    spec = SeedSpec(given.scale, 1, date(2026, 11, 1), REGIONS)
    schema, options = load_schema("pg", REGIONS, spec.as_of), LoadOptions(1, given.connections)
    ratios = []
    with tempfile.TemporaryDirectory(prefix="shopbench-", dir="/var/tmp") as folder:
        home = Path(folder)
        home.chmod(0o755)
        premade = Premade(DataSet(spec), home / "blocks")
        with EmbeddedServer.start(home / "home", ServerOptions(SERVER_SETTINGS)) as server:
            for _ in range(given.rounds):
                floor = timed(server, schema, premade, options)
                made = timed(server, schema, DataSet(spec), options)
                assert floor.checksums == made.checksums
                ratios.append(made.seconds["total"] / floor.seconds["total"])
                print(told("floor", floor.seconds))
                print(told("generated", made.seconds))
                print(f"ratio      {ratios[-1]:7.2f}", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"{made.total_rows:,} rows; median ratio {median(ratios):.2f}; peak memory of this process {peak:.0f} MB")


if __name__ == "__main__":
    main()
