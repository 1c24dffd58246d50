"""``bench run --variants``: each variant on a database of its own, which is never one that somebody else made."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from bench.cli.variants_places import _in
from bench.db.ddl import load_schema
from bench.db.placeholders import with_names
from bench.results.read import Run
from bench.target.embedded import EmbeddedServer

from ..conftest import Bench

VARIANTS = ("pg", "pg_partitioned")
SHORT = ("--variants", ",".join(VARIANTS), "--scale", "tiny", "--regions", "us-east,eu-west")
SHORT = (*SHORT, "--no-distance", "--duration", "8s", "--rate", "10/s")


def document(folder: Path) -> dict:
    (found,) = (folder / "runs").glob("*-checkout-variants/variants.json")
    return json.loads(found.read_text())


@pytest.mark.slow
def test_each_variant_is_run_and_compared_by_region(bench: Bench, tmp_path: Path) -> None:
    done = bench("run", "checkout", *SHORT)
    # A busy machine may make a measurement invalid (4), which is a verdict and not a fault.
    assert done.returncode in (0, 4), done.stdout + done.stderr
    found = document(tmp_path)
    is_valid = all(row["verdict"] != "INVALID" for row in found["runs"])
    assert [row["variant"] for row in found["runs"]] == list(VARIANTS)
    assert all(not row["broken_rules"] and row["committed_per_s"] > 0 for row in found["runs"])
    places = {(cell["transaction"], cell["region"], cell["variant"]): cell for cell in found["cells"]}
    for region in ("us-east", "eu-west"):
        first, second = (places["checkout", region, variant] for variant in VARIANTS)
        assert min(first["response"]["count"], second["response"]["count"]) > 0
        assert first["prices"] == {}
        if is_valid:
            ratio = second["response"]["p50_ms"] / first["response"]["p50_ms"]
            assert second["prices"]["p50_ms"]["value"] == pytest.approx(ratio)
        else:
            assert second["prices"] == {}
    for row in found["runs"]:
        said = f"no multiple with {row['variant']}: its run is INVALID" in done.stdout
        assert said == (row["verdict"] == "INVALID")
    assert done.stdout.splitlines()[0].startswith("variant")
    assert done.stdout.splitlines()[-1].endswith("variants.json")
    # Both played the same arrivals, on other schemas.
    manifests = [json.loads(path.read_text()) for path in (tmp_path / "runs").glob("*/manifest.json")]
    assert {each["target"]["variant"] for each in manifests} == set(VARIANTS)
    assert len({each["schema_fingerprint"] for each in manifests}) == 2
    assert len({each["seed"] for each in manifests}) == 1
    first, second = (offered(path) for path in (tmp_path / "runs").glob("*/run.sqlite"))
    assert first == second
    assert first.total() > 50


def offered(store: Path) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    with Run.open(store.parent) as run:
        for cell in run.arrivals:
            found[cell.region, cell.session] += cell.offered
    return found


def test_databases_are_made_as_their_variant_wants_them() -> None:
    regions = ("us-east", "eu-west")
    made = {
        variant: with_names(load_schema(variant, regions, date(2026, 3, 1)).database, {"name": f"a-b_{variant}"})
        for variant in ("pg", "crdb_rbr", "crdb_partition_by")
    }
    assert made == {
        "pg": 'CREATE DATABASE "a-b_pg"',
        "crdb_rbr": 'CREATE DATABASE "a-b_crdb_rbr" PRIMARY REGION "us-east" REGIONS "eu-west" SURVIVE ZONE FAILURE',
        # A database with regions refuses partitions.
        "crdb_partition_by": 'CREATE DATABASE "a-b_crdb_partition_by"',
    }


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "postgresql://shop:p%40ss@h:26257/shop?sslmode=verify-full",
            "postgresql://shop:p%40ss@h:26257/x%2Fy?sslmode=verify-full",
        ),
        ("postgresql://root@a:26257,b:26257/shop", "postgresql://root@a:26257,b:26257/x%2Fy"),
        ("postgresql://root@h", "postgresql://root@h/x%2Fy"),
    ],
)
def test_another_database_of_the_same_server(url: str, expected: str) -> None:
    assert _in(url, "x/y") == expected
    assert conninfo_to_dict(expected)["dbname"] == "x/y"


@pytest.fixture
def base(fresh_database: str, server: EmbeddedServer) -> Iterator[str]:
    """A database to name in the URL; those that are made after it go with it."""
    yield fresh_database
    name = conninfo_to_dict(fresh_database)["dbname"]
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for variant in VARIANTS:
            made = sql.Identifier(f"{name}_{variant}")
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(made))


@pytest.mark.slow
def test_by_url_each_has_a_database_made_for_it_and_none_is_taken_without_yes(
    bench: Bench, base: str, server: EmbeddedServer, tmp_path: Path
) -> None:
    name = conninfo_to_dict(base)["dbname"]
    theirs = f"{name}_pg_partitioned"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(theirs)))
    with psycopg.connect(server.url(theirs), autocommit=True) as connection:
        connection.execute("CREATE TABLE users (id BIGINT)")
    refused = bench("run", "checkout", *SHORT, BENCH_URL=base)
    assert refused.returncode == 3
    assert f"'{theirs}' on 127.0.0.1" in refused.stderr
    assert "--yes" in refused.stderr
    with psycopg.connect(server.url(), autocommit=True) as connection:
        # Nothing was made for the other variant either.
        found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (f"{name}_pg",)).fetchall()
        assert found == []
    with psycopg.connect(server.url(theirs)) as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (0,)
    done = bench("run", "checkout", *SHORT, "--yes", "--url", base)
    assert done.returncode in (0, 4), done.stdout + done.stderr
    assert [row["variant"] for row in document(tmp_path)["runs"]] == list(VARIANTS)
    for variant in VARIANTS:
        with psycopg.connect(server.url(f"{name}_{variant}")) as connection:
            meta = dict(connection.execute("SELECT key, value FROM shopbench_meta").fetchall())
            assert (meta["variant"], meta["state"]) == (variant, "ready")
            assert connection.execute("SELECT count(*) > 0 FROM orders").fetchone() == (True,)
    with psycopg.connect(base) as connection:
        tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
        assert connection.execute(tables).fetchone() == (0,)


@pytest.mark.slow
def test_variants_of_the_other_database_and_two_factors_are_refused(bench: Bench) -> None:
    for arguments, said in (
        (("checkout", "--variants", "crdb_rbr,crdb_single"), "is for CockroachDB, the embedded server is PostgreSQL"),
        (
            ("checkout", "--variants", "pg,pg_partitioned", "--variant", "pg"),
            "--variant and --variants are one or the other",
        ),
        (("contention", "--variants", "pg,pg_partitioned"), "is a bake-off already"),
    ):
        done = bench("run", *arguments)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
