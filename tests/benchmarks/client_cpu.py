"""What a statement of ``checkout`` costs the client, in CPU time, beside ``pgbench -M prepared`` on the same statements.

    python tests/benchmarks/client_cpu.py [--rounds 5] [--seconds 4]

The server is pinned to CPU 0 and each client, in turn, to CPU 1; 20 connections over TCP; user+sys seconds of the client's
process alone, from one second after its start, over the statements that it sent.  The whole stack is a run of the engine:
Locust users, catalogue, retry loop, recording, journal and run store.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from common import awake, cpu_s, database

from bench.cli.preparing import SERVER_SETTINGS
from bench.data.blocks import DataSet
from bench.data.loader import LoadOptions, load
from bench.data.spec import SeedSpec
from bench.db.catalogue import Catalogue, read_package
from bench.db.ddl import load_schema

REGION = "us-east"
REGIONS = (REGION, "us-west", "eu-west", "asia-pac")
CONNECTIONS = 20
ITEMS = 16
"""Of which each cart holds one, so that clients seldom wait for each other's row."""
CARTS_PER_S = 5000
SETTINGS = {**SERVER_SETTINGS, "fsync": "off", "synchronous_commit": "off", "autovacuum": "off", "jit": "off"}
WAYS = ("pgbench", "stack", "pipelined", "plain")
TITLES = {
    "pgbench": "pgbench -M prepared",
    "stack": "whole stack, an exchange per statement",
    "pipelined": "whole stack, pipeline = true",
    "plain": "Locust, conn.execute, events.request.fire",
}

_ITEMS = """
CREATE TABLE benchmark_items AS
  SELECT row_number() OVER (ORDER BY product_id, variant_key, warehouse_id) - 1 AS n, id AS inventory_id,
         product_id, variant_id, variant_key, ARRAY[product_id] AS products, ARRAY[variant_id] AS variants,
         ARRAY[warehouse_id] AS warehouses, ARRAY[id] AS inventory
    FROM inventory WHERE region = '{region}' ORDER BY n LIMIT {items};
UPDATE inventory SET quantity_available = 1000000000 WHERE id IN (SELECT inventory_id FROM benchmark_items)"""
_FILL = """
TRUNCATE shopping_carts CASCADE;
DROP TABLE IF EXISTS benchmark_carts;
CREATE TABLE benchmark_carts AS
  SELECT number, gen_random_uuid() AS id FROM generate_series(0, {count} - 1) AS number;
ALTER TABLE benchmark_carts ADD PRIMARY KEY (number);
INSERT INTO shopping_carts (region, id, user_id)
  SELECT '{region}', c.id, u.id FROM benchmark_carts c
    JOIN (SELECT id, row_number() OVER (ORDER BY id) - 1 AS n, count(*) OVER () AS all_of_them
            FROM users WHERE region = '{region}') u ON u.n = c.number % u.all_of_them;
INSERT INTO cart_items (region, cart_id, product_id, variant_id, quantity, unit_price)
  SELECT '{region}', c.id, b.product_id, b.variant_id, 1, 9.99
    FROM benchmark_carts c JOIN benchmark_items b ON b.n = c.number % {items};
ANALYZE shopping_carts, cart_items, benchmark_carts;
CHECKPOINT"""
_FROM = f"""SELECT c.id AS cart_id, gen_random_uuid() AS key, i.product_id, i.variant_key, i.products, i.variants,
  i.warehouses, i.inventory FROM benchmark_carts c JOIN benchmark_items i ON i.n = c.number % {ITEMS}
  WHERE c.number = :number"""
"""pgbench's own statement, which it needs for what no expression of it can make; counted, as it is sent.

With the item from here there is one script, and each statement is prepared once for each connection, as by the others.
"""


def prepare(connection: psycopg.Connection[Any]) -> dict[str, str]:
    """Stock the items, and return pgbench's variables."""
    connection.execute(_ITEMS.format(region=REGION, items=ITEMS).encode())
    user = connection.execute("SELECT id::text FROM users WHERE region = %s LIMIT 1", (REGION,)).fetchall()[0][0]
    variables = {"region": REGION, "order_region": REGION, "regions": f"{{{REGION}}}", "user_id": user}
    variables |= {"quantity": "1", "quantities": "{1}", "prices": "{9.99}", "type": "reserved", "n": "0"}
    variables |= {"subtotal": "9.99", "tax": "0.80", "shipping": "5.99", "discount": "0.00", "total": "16.78"}
    variables |= {"status": "confirmed", "payment": "paid"}
    address = '{"name": "A Name", "street": "1 A Street", "city": "City", "postal_code": "12345", "country": "US"}'
    variables |= {
        "address": address,
        "snapshots": '{"{\\"sku\\": \\"SKU-1\\", \\"name\\": \\"A\\", \\"price\\": \\"9.99\\"}"}',
    }
    return variables


def script(statements: Catalogue) -> tuple[str, int]:
    """Return pgbench's script, and how many statements it sends."""

    def sql(name: str) -> str:
        statement = statements[name]
        return statement.sql % {param.name: f":{param.name}" for param in statement.params}

    sent = [
        _FROM + " \\gset",
        sql("view_cart") + ";",
        "BEGIN;",
        sql("insert_order") + " \\gset order_",
        sql("delete_cart") + ";",
        sql("reserve_guarded") + ";",
        sql("insert_order_items") + ";",
        sql("insert_reservations") + ";",
        sql("confirm_payment") + ";",
        "COMMIT;",
    ]
    head = [f"\\set number :n * {CONNECTIONS} + :client_id", "\\set n :n + 1"]
    return "\n".join([*head, *sent]) + "\n", len(sent)


def pgbench(
    url: str, folder: Path, statements: Catalogue, variables: Mapping[str, str], seconds: int
) -> tuple[float, int]:
    """Return CPU seconds and statements of pgbench, from its first second's end to its last's."""
    text, size = script(statements)
    path = folder / "checkout.pgb"
    path.write_text(text)
    defined = [part for name, value in variables.items() for part in ("-D", f"{name}={value}")]
    command = ["pgbench", "-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", "1", "-P", "1", "-T", str(seconds + 1)]
    marks: list[float] = []
    transactions = 0.0
    with subprocess.Popen(
        ["taskset", "-c", "1", *command, *defined, "-f", str(path), url],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line)
            if line.startswith("progress:"):
                if marks:
                    transactions += float(line.split(",")[1].split()[0])
                if process.poll() is None:
                    marks.append(cpu_s(process.pid))
    assert process.returncode == 0, "".join(said[-5:])
    return marks[-1] - marks[0], round(transactions * size)


def play(way: str, url: str, seconds: int) -> tuple[float, int]:
    """Return CPU seconds and statements of a client of ours."""
    path = Path(__file__).with_name("client_cpu_play.py")
    done = subprocess.run(
        ["taskset", "-c", "1", sys.executable, str(path), way, url, str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    cpu, sent = done.stdout.split()[-2:]
    return float(cpu), int(sent)


def show(figures: Mapping[str, Sequence[tuple[float, int]]], seconds: int) -> None:
    """Print µs per statement and the ratio to pgbench within each round."""
    print(f"{'client':<44} {'µs/statement':>20} {'x pgbench':>20} {'statements/s':>13}")
    base = [cpu / sent for cpu, sent in figures["pgbench"]]
    for way, rounds in figures.items():
        costs = [cpu / sent for cpu, sent in rounds]
        ratios = [cost / floor for cost, floor in zip(costs, base, strict=True)]
        cost = f"{median(costs) * 1e6:.1f} [{min(costs) * 1e6:.1f}-{max(costs) * 1e6:.1f}]"
        ratio = f"{median(ratios):.2f} [{min(ratios):.2f}-{max(ratios):.2f}]"
        print(f"{TITLES[way]:<44} {cost:>20} {ratio:>20} {median(sent for _, sent in rounds) / seconds:>13,.0f}")


@contextmanager
def _on_cpu(cpu: int) -> Iterator[None]:
    """Bind the server, and this process while it waits; clients move to the other CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--ways", default=",".join(WAYS), help=f"of {', '.join(WAYS)}; pgbench is always among them")
    parser.add_argument("--awake", action="store_true", help="keep the cores from halting")
    options = parser.parse_args()
    if shutil.which("pgbench") is None:
        sys.exit("there is no pgbench on PATH to compare with (Debian: apt install postgresql-contrib)")
    ways = ["pgbench", *(way for way in options.ways.split(",") if way != "pgbench")]
    spec = SeedSpec("tiny", 1, date(2026, 11, 1), REGIONS)
    statements = Catalogue.load([read_package("bench.workloads", "sql")], "postgres")
    figures: dict[str, list[tuple[float, int]]] = {way: [] for way in ways}
    with awake(options.awake), _on_cpu(0), database(None, SETTINGS) as url, tempfile.TemporaryDirectory() as folder:
        load(dict.fromkeys(REGIONS, url), load_schema("pg", REGIONS, spec.as_of), DataSet(spec), LoadOptions(1, 1))
        with closing(psycopg.connect(url, autocommit=True)) as connection:
            variables = prepare(connection)
            for _ in range(options.rounds):
                for way in ways:
                    count = CARTS_PER_S * (options.seconds + 2)
                    connection.execute(_FILL.format(count=count, region=REGION, items=ITEMS).encode())
                    if way == "pgbench":
                        found = pgbench(url, Path(folder), statements, variables, options.seconds)
                    else:
                        found = play(way, url, options.seconds)
                    figures[way].append(found)
                    print(f"# {way}: {found[0] / found[1] * 1e6:.1f} µs", file=sys.stderr, flush=True)
    show(figures, options.seconds)


if __name__ == "__main__":
    main()
