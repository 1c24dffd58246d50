"""The command on a seeded shop with planted indexes: one useless, one double, and one vital that is gone and tried again.

About 15 s for each of the ten data seeds on a machine that does little else.
"""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
SCALE = "0.01"
VITAL = "CREATE INDEX tried_again ON order_items (region, order_id)"
PLANTED = ("planted_useless", "planted_double")


def plant(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE INDEX planted_useless ON users (last_name)")
        connection.execute("CREATE INDEX planted_double ON orders (user_id, created_at DESC)")
        connection.execute("DROP INDEX idx_order_items_order")


def indexes_of(url: str) -> list[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
        ).fetchall()


def rows_of(url: str) -> list[tuple[int, ...]]:
    tables = ("orders", "order_items", "users", "inventory", "inventory_movements", "shopping_carts")
    with psycopg.connect(url) as connection:
        return [
            connection.execute(f"SELECT count(*), sum(hashtext(t::TEXT)) FROM {table} t").fetchall()[0]
            for table in tables
        ]


@pytest.mark.slow
@pytest.mark.flaky(reruns=2)  # "essential" rests on intervals of times
@pytest.mark.parametrize("seed", range(1, 11))
def test_planted_indexes_are_told_apart(bench: Bench, fresh_database: str, tmp_path: Path, seed: int) -> None:
    seeded = bench("seed", "--scale", SCALE, "--seed", str(seed), "--processes", "1", "--url", fresh_database)
    assert seeded.returncode == 0, seeded.stderr
    plant(fresh_database)
    before = indexes_of(fresh_database), rows_of(fresh_database)
    only = [word for name in PLANTED for word in ("--only", name)]
    done = bench(
        "indexes", "--url", fresh_database, "--yes", "--add", VITAL, *only, "--repeats", "8", "--format", "json"
    )
    assert done.returncode == 0, done.stderr
    found = {row["name"]: row["verdict"] for row in json.loads(done.stdout)["indexes"]}
    assert {name: verdict["word"] for name, verdict in found.items()} == {
        "planted_useless": "unused",
        "planted_double": "duplicate",
        "tried_again": "essential",
    }, found
    assert (indexes_of(fresh_database), rows_of(fresh_database)) == before


@pytest.mark.slow
def test_without_leave_a_database_of_the_users_keeps_its_indexes(bench: Bench, fresh_database: str) -> None:
    assert bench("seed", "--scale", "tiny", "--url", fresh_database).returncode == 0
    before = indexes_of(fresh_database), rows_of(fresh_database)
    arguments = ("indexes", "--url", fresh_database, "--only", "idx_order_items_order")
    done = bench(*arguments, "--repeats", "4", "--format", "json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert not document["costs_measured"]
    assert document["indexes"][0]["balance"]["cost"] is None
    refused = bench(*arguments, "--add", VITAL)
    assert refused.returncode == 2
    assert "pass --yes" in refused.stderr
    unknown = bench("indexes", "--url", fresh_database, "--only", "idx_nothing")
    assert unknown.returncode == 2
    assert "there is no index 'idx_nothing'" in unknown.stderr
    assert (indexes_of(fresh_database), rows_of(fresh_database)) == before


def test_what_is_no_index_is_refused_before_anything_begins(bench: Bench) -> None:
    done = bench("indexes", "--add", "DROP TABLE orders")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: 'DROP TABLE orders' is not an index to try\n")
