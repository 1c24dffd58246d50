"""How many times faster rows of orders and order_items are made than one server core takes them by COPY.

Run ``python tests/benchmarks/generation.py``; ``--help`` lists the options.  Everything is CPU time: that of one thread that
makes blocks, and that of the one backend that takes the same blocks into tables without keys and indexes, in turns.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median
from time import process_time
from typing import Any

import psycopg
from common import cpu_s, database
from psycopg import sql

from bench.data.blocks import Block, DataSet, Rows
from bench.data.spec import SeedSpec
from bench.data.vocabulary import Format
from bench.db.ddl import BEFORE_LOAD, load_schema

SPAN = 10_000
"""Orders in a block."""
REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")
TABLES = ("orders", "order_items")
_COPY = {"binary": "WITH (FORMAT binary)", "text": "", "csv": "WITH (FORMAT csv)"}
_HEAD, _TAIL = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"


@dataclass(frozen=True)
class Cost:
    """CPU seconds by table."""

    made: dict[str, float]
    taken: dict[str, float]


def make(data: DataSet, spans: Sequence[Block], fmt: Format) -> Iterator[Rows]:
    """Make the blocks of all tables, span after span as the loader visits them."""
    for span in spans:
        for table in TABLES:
            yield data.make(Block(table, span.first, span.count), fmt)


def time_making(data: DataSet, spans: Sequence[Block], fmt: Format) -> dict[str, float]:
    """Make the blocks and forget each, as the loader does once it is sent."""
    spent, started = dict.fromkeys(TABLES, 0.0), process_time()
    for rows in make(data, spans, fmt):
        now = process_time()
        spent[rows.table] += now - started
        started = now
    return spent


def take(connection: psycopg.Connection[Any], blocks: Sequence[Rows], fmt: Format) -> dict[str, float]:
    """Load blocks into empty tables."""
    connection.execute("TRUNCATE orders, order_items")
    connection.execute("CHECKPOINT")
    spent = dict.fromkeys(TABLES, 0.0)
    pid = connection.info.backend_pid
    for rows in blocks:
        started = cpu_s(pid)
        columns = sql.SQL(", ").join(sql.Identifier(column) for column in rows.columns)
        command = sql.SQL(f"COPY {{}} ({{}}) FROM STDIN {_COPY[fmt]}").format(sql.Identifier(rows.table), columns)
        with connection.cursor().copy(command) as copy:
            copy.write(_HEAD + rows.body + _TAIL if fmt == "binary" else rows.body)
        spent[rows.table] += cpu_s(pid) - started
    return spent


def without_checks(connection: psycopg.Connection[Any]) -> None:
    """Take the CHECK constraints off the tables."""
    found = connection.execute("SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'c'")
    for table, name in found.fetchall():
        if table in TABLES:
            connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(*map(sql.Identifier, (table, name))))


def show(fmt: Format, counts: dict[str, int], sizes: dict[str, int], rounds: Sequence[Cost]) -> None:
    for name, tables in (*((table, (table,)) for table in TABLES), ("together", TABLES)):
        rows, size = sum(counts[table] for table in tables), sum(sizes[table] for table in tables)
        made = [sum(cost.made[table] for table in tables) for cost in rounds]
        taken = [sum(cost.taken[table] for table in tables) for cost in rounds]
        ratios = sorted(there / here for here, there in zip(made, taken))
        rates = f"{rows / median(made):>12,.0f} {rows / median(taken):>12,.0f}"
        spread = f"{median(ratios):>6.2f}  ({ratios[0]:.2f}-{ratios[-1]:.2f})"
        print(f"{fmt:<7} {name:<12} {rows:>9,} {size / rows:>6.0f} {rates} {spread}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="medium", help="scale of the data set (default: medium)")
    parser.add_argument("--orders", type=int, default=100_000, help="orders to make, from the first on")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--formats", default="binary,text", help="of binary, text, csv (default: binary,text)")
    parser.add_argument("--url", help="a PostgreSQL on this machine; default: an embedded one")
    parser.add_argument("--no-checks", action="store_true", help="take the CHECK constraints off the tables as well")
    options = parser.parse_args()
    spec = SeedSpec(options.scale, 7, date(2026, 11, 1), REGIONS)
    data = DataSet(spec)
    total = min(options.orders, data.world.orders.total)
    spans = [Block("", first, min(SPAN, total - first)) for first in range(0, total, SPAN)]
    with database(options.url) as url, psycopg.connect(url, autocommit=True) as connection:
        schema = load_schema("pg", spec.regions, spec.as_of)
        for stage in BEFORE_LOAD:
            for ddl in schema.stage(stage):
                connection.execute(ddl.sql.encode())
        if options.no_checks:
            without_checks(connection)
        connection.execute("SET synchronous_commit = off")
        print(
            f"scale {options.scale}, {total:,} orders in blocks of {SPAN:,}; medians of {options.rounds} rounds, CPU time"
        )
        print(f"{'format':<7} {'table':<12} {'rows':>9} {'B/row':>6} {'made/s':>12} {'taken/s':>12} {'ratio':>6}")
        for fmt in options.formats.split(","):
            blocks = list(make(data, spans, fmt))
            take(connection, blocks, fmt)
            rounds = [Cost(time_making(data, spans, fmt), take(connection, blocks, fmt)) for _ in range(options.rounds)]
            counts = {t: sum(rows.count for rows in blocks if rows.table == t) for t in TABLES}
            sizes = {t: sum(len(rows.body) for rows in blocks if rows.table == t) for t in TABLES}
            show(fmt, counts, sizes, rounds)


if __name__ == "__main__":
    main()
