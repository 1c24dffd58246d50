"""The estimate agrees with real loads, the probe leaves nothing behind, and a disk that is too small is seen beforehand."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import psycopg
import pytest
from tests_support import HANG_S

from bench.data.blocks import DataSet
from bench.data.cost import Estimate, Work, disk_needed, require_disk, upper_bound_bytes
from bench.data.estimate import estimate
from bench.data.extrapolate import FEWEST_ROWS, NOT_MEASURED, extrapolated
from bench.data.sample import PROBE_ROWS, Measured, Sample, make_sample, measure, sample_spec
from bench.data.spec import SeedSpec, row_counts
from bench.db.ddl import Ddl, Schema, load_schema
from bench.db.probe import open_probe
from bench.errors import TargetError

from .conftest import TINY, fill

SMALL = replace(TINY, scale="0.025")
TENTH = replace(TINY, scale="0.1")

# Everything that a load makes has a row in one of these; statistics of the catalogue itself come and go by autovacuum.
CATALOGUE = """
    SELECT 'class', oid::BIGINT, relname::TEXT, relnamespace::TEXT, relfilenode::BIGINT FROM pg_class
    UNION ALL SELECT 'namespace', oid, nspname, '', 0 FROM pg_namespace WHERE nspname NOT LIKE 'pg_%temp%'
    UNION ALL SELECT 'type', oid, typname, typnamespace::TEXT, 0 FROM pg_type
    UNION ALL SELECT 'enum', oid, enumlabel, '', 0 FROM pg_enum
    UNION ALL SELECT 'function', oid, proname, prosrc, 0 FROM pg_proc
    UNION ALL SELECT 'constraint', oid, conname, '', 0 FROM pg_constraint
    UNION ALL SELECT 'default', oid, '', '', 0 FROM pg_attrdef
    UNION ALL SELECT 'trigger', oid, tgname, '', 0 FROM pg_trigger
    UNION ALL SELECT 'attribute', count(*), '', '', 0 FROM pg_attribute
    UNION ALL SELECT 'statistic', count(*), '', '', 0 FROM pg_statistic WHERE starelid >= 16384
    UNION ALL SELECT 'sequence', count(*), '', '', 0 FROM pg_sequence
    ORDER BY 1, 2
"""
# User relations only: those of the server's own catalogue grow with the rows that a rolled back transaction leaves dead.
FILES = """
    SELECT DISTINCT n.number
      FROM pg_database d, pg_ls_dir('base/' || d.oid) AS name, LATERAL (SELECT substring(name, '^[0-9]+')::BIGINT) n (number)
     WHERE d.datname = current_database() AND n.number >= 16384
     ORDER BY 1
"""
REAL_SIZES = """
    SELECT r.relname, sum(pg_total_relation_size(t.oid))::BIGINT
      FROM pg_class t JOIN pg_class r ON r.oid = COALESCE(pg_partition_root(t.oid), t.oid)
     WHERE t.relnamespace = 'public'::regnamespace AND t.relkind IN ('r', 'm') GROUP BY 1
"""
WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::BIGINT"


def opening(url: str) -> Callable[[], psycopg.Connection]:
    return lambda: psycopg.connect(url, autocommit=True)


def schema_for(spec: SeedSpec, variant: str = "pg") -> Schema:
    return load_schema(variant, spec.regions, spec.as_of)


def state(url: str) -> tuple[list, list]:
    """What the catalogue lists, and the files that there are."""
    with psycopg.connect(url, autocommit=True) as connection:
        # Files of dropped relations are kept, empty, until a checkpoint.
        connection.execute("CHECKPOINT")
        return connection.execute(CATALOGUE).fetchall(), connection.execute(FILES).fetchall()


def broken(schema: Schema, name: str) -> Schema:
    """The schema with a statement that fails."""
    bad = tuple(replace(ddl, sql="SELECT 1/0") if ddl.name == name else ddl for ddl in schema.statements)
    assert bad != schema.statements
    return replace(schema, statements=bad)


@pytest.fixture(scope="module")
def small(pg_url: str) -> Estimate:
    return estimate(opening(pg_url), schema_for(SMALL), SMALL, connections=2)


@pytest.fixture(scope="module")
def taken(pg_url: str) -> tuple[Sample, Measured]:
    """A sample and what loading it took, to say of any scale what that means."""
    schema = schema_for(SMALL)
    sample = make_sample(SMALL, schema)
    with opening(pg_url)() as connection, open_probe(connection, schema) as probe:
        return sample, measure(probe, sample)


@pytest.mark.parametrize(
    ("variant", "spec"),
    [
        ("pg", SMALL),
        pytest.param("pg_partitioned", SMALL, marks=pytest.mark.slow),
        pytest.param("pg", TENTH, marks=pytest.mark.slow),
    ],
    ids=["pg-0.025", "partitioned-0.025", "pg-0.1"],
)
def test_bytes_are_those_of_a_real_load(fresh_database: str, variant: str, spec: SeedSpec):
    schema = schema_for(spec, variant)
    found = estimate(opening(fresh_database), schema, spec, connections=2)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        # One by the clock in between would add an image of each page to the log.
        connection.execute("CHECKPOINT")
        written = connection.execute(WAL).fetchone()[0]
        fill(fresh_database, spec, variant)
        written = connection.execute(WAL).fetchone()[0] - written
        real = dict(connection.execute(REAL_SIZES).fetchall())
        database = connection.execute("SELECT pg_database_size(current_database())").fetchone()[0]
    tables = {table.table: table.disk_bytes for table in found.tables}
    assert sum(real[name] > 1e6 for name in tables) >= 8
    for name, size in tables.items():
        if real[name] > 1e6:
            assert size == pytest.approx(real[name], rel=0.3), name
    loaded = sum(size for name, size in real.items() if name not in ("shopbench_load", "shopbench_meta"))
    assert found.disk_bytes == pytest.approx(loaded, rel=0.15)
    assert found.wal_bytes == pytest.approx(written, rel=0.3)
    # The bound allows as much for the WAL, and for sorting, as for a copy.
    assert database + found.view_bytes <= upper_bound_bytes(spec) / 3
    assert written <= upper_bound_bytes(spec) / 3
    assert disk_needed(found, 2) <= upper_bound_bytes(spec, 2)


def test_what_fits_into_the_sample_is_measured_whole(fresh_database: str):
    found = estimate(opening(fresh_database), schema_for(TINY), TINY, connections=2)
    data = DataSet(TINY)
    made = [data.make(block, "binary") for block in data.blocks()]
    assert found.wire_bytes == sum(len(rows.body) for rows in made)
    assert found.rows == found.probe_rows == sum(rows.count for rows in made)


def test_the_sample_is_the_same_data_set_but_smaller():
    for spec in (SMALL, replace(TINY, scale="xl"), replace(TINY, scale="medium", zipf=1.5)):
        sample = sample_spec(spec)
        assert replace(sample, scale=spec.scale) == spec
        assert 0.9 * PROBE_ROWS <= sum(row_counts(sample).values()) <= PROBE_ROWS
    assert sample_spec(TINY) == TINY


def test_rows_are_those_of_the_scale(small: Estimate):
    assert {table.table: table.rows for table in small.tables} == row_counts(SMALL)
    assert 0.8 * PROBE_ROWS <= small.probe_rows <= 1.1 * PROBE_ROWS
    assert small.note is None


def test_bytes_and_seconds_grow_with_the_rows(taken: tuple[Sample, Measured]):
    less, found = (extrapolated(spec, *taken, 2, 0.0) for spec in (SMALL, replace(SMALL, scale="large")))
    for table, smaller in zip(found.tables, less.tables):
        if smaller.disk_bytes > 5e6:
            growth = table.rows / smaller.rows
            assert table.disk_bytes / smaller.disk_bytes == pytest.approx(growth, rel=0.05), table.table
            assert table.seconds.copy / smaller.seconds.copy == pytest.approx(growth), table.table
    before = {work.phase: work.seconds for work in less.work}
    grown = {work.phase: work.seconds / before[work.phase] for work in found.work}
    assert grown.pop("schema") == 1
    # Every table that is timed has 89 times the rows.  The other phases have a part that stays, as large as a stall makes it.
    assert min(grown["copy"], grown["checksums"]) > 80
    assert min(grown.values()) > 1


def test_tables_too_small_to_be_timed_cost_the_mean_of_the_others(taken: tuple[Sample, Measured]):
    sample, _ = taken
    found = extrapolated(replace(SMALL, scale="small"), *taken, 2, 0.0).tables
    others = [table for table in found if sample.tables[table.table].rows < FEWEST_ROWS]
    timed = [table for table in found if table not in others]
    mean = sum(table.seconds.copy for table in timed) / sum(table.wire_bytes for table in timed)
    assert len(others) >= 3
    for table in others:
        assert table.seconds.copy == pytest.approx(mean * table.wire_bytes), table.table


def test_no_phase_ends_before_its_longest_piece(small: Estimate, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    work = (Work("copy", 12.0, 0.0), Work("keys", 8.0, 5.0))
    found = replace(small, prepare_seconds=1.0, work=work, connections=2)
    assert [found.seconds(count) for count in (1, 2, 4, 16)] == [21.0, 12.0, 9.0, 9.0]
    assert found.seconds() == 12.0


def test_the_phases_add_up_to_the_tables(small: Estimate):
    phases = {work.phase: work.seconds for work in small.work}
    assert set(phases) > {"schema", "copy", "keys", "indexes", "foreign_keys", "statistics", "views"}
    built = phases["keys"] + phases["indexes"] + phases["foreign_keys"]
    assert sum(table.seconds.build for table in small.tables) == pytest.approx(built)
    copied = sum(table.seconds.generate + table.seconds.copy for table in small.tables)
    assert copied <= phases["copy"] <= 1.5 * copied + 0.2
    assert all(min(t.seconds.generate, t.seconds.copy, t.seconds.build, t.seconds.finish) > 0 for t in small.tables)


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["pg", "pg_partitioned"])
def test_a_probe_leaves_nothing_behind(fresh_database: str, variant: str):
    schema = schema_for(SMALL, variant)
    # Beside the tables that a load has made: same names, another schema.
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        for stage in ("prepare", "tables", "keys"):
            for ddl in schema.stage(stage):
                connection.execute(ddl.sql)
    before = state(fresh_database)
    estimate(opening(fresh_database), schema, SMALL, connections=2)
    assert state(fresh_database) == before


@pytest.mark.parametrize("name", ["orders", "orders_pkey", "order_items_order_fkey", "product_ratings"])
def test_a_probe_that_fails_leaves_nothing_behind(fresh_database: str, name: str):
    before = state(fresh_database)
    with pytest.raises(TargetError) as caught:
        estimate(opening(fresh_database), broken(schema_for(SMALL), name), SMALL, connections=2)
    assert name in caught.value.message
    assert "division by zero" in str(caught.value.cause)
    assert state(fresh_database) == before


def test_a_probe_that_fails_with_rows_leaves_nothing_behind(fresh_database: str):
    """Fails in the second pass, after COPY: the check holds while the tables are empty."""
    schema = schema_for(SMALL)
    check = Ddl("views", "check", "late", None, "SELECT 1 / (count(*) = 0)::INT FROM orders")
    before = state(fresh_database)
    with pytest.raises(TargetError, match="check late"):
        estimate(opening(fresh_database), replace(schema, statements=(*schema.statements, check)), SMALL, connections=2)
    assert state(fresh_database) == before


def test_a_probe_that_is_killed_leaves_nothing_behind(fresh_database: str, tmp_path):
    before = state(fresh_database)
    # The last statement of the second pass sleeps, so that the kill comes when everything is there.
    program = tmp_path / "killed.py"
    program.write_text(
        f"""
from dataclasses import replace
from datetime import date
import psycopg
from bench.data.estimate import estimate
from bench.data.spec import SeedSpec
from bench.db.ddl import Ddl, load_schema

spec = SeedSpec("0.025", 7, date({SMALL.as_of.year}, {SMALL.as_of.month}, 1), {SMALL.regions!r})
schema = load_schema("pg", spec.regions, spec.as_of)
sleep = Ddl("views", "sleep", "late", None, "SELECT pg_sleep(CASE WHEN count(*) = 0 THEN 0 ELSE {HANG_S} END) FROM orders")
schema = replace(schema, statements=(*schema.statements, sleep))
estimate(lambda: psycopg.connect({fresh_database!r}, autocommit=True), schema, spec, connections=2)
"""
    )
    child = subprocess.Popen([sys.executable, str(program)], cwd=tmp_path)
    try:
        with psycopg.connect(fresh_database, autocommit=True) as connection:
            asleep = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
            backend = wait_for(lambda: connection.execute(asleep).fetchone())[0]
            child.send_signal(signal.SIGKILL)
            child.wait(HANG_S)
            # Where the server looks for a lost client only between statements (macOS), it would sleep to the end.
            gone = f"SELECT 1 WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {backend})"
            wait_for(lambda: connection.execute(gone).fetchone(), lambda: stop(connection, backend))
    finally:
        child.kill()
        child.wait()
    assert state(fresh_database) == before


def wait_for(found: Callable[[], object], after_5_s: Callable[[], object] = lambda: None):
    started = time.monotonic()
    while time.monotonic() - started < HANG_S:
        value = found()
        if value:
            return value
        if time.monotonic() - started > 5:
            after_5_s()
        time.sleep(0.1)
    raise AssertionError("it never came")


def stop(connection: psycopg.Connection, backend: int) -> None:
    connection.execute("SELECT pg_terminate_backend(%s)", (backend,))


def test_a_role_without_the_right_is_told(fresh_database: str):
    role = "probe_reader"
    name = fresh_database.rpartition("/")[2]
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role}")

        def as_reader() -> psycopg.Connection:
            opened = psycopg.connect(fresh_database, autocommit=True)
            opened.execute(f"SET ROLE {role}")
            return opened

        try:
            with pytest.raises(TargetError) as caught:
                estimate(as_reader, schema_for(SMALL), SMALL, connections=2)
        finally:
            connection.execute(f"DROP ROLE {role}")
    assert f"permission denied for database {name}" in str(caught.value.cause)
    assert "create schemas" in str(caught.value.hint)


def test_cockroach_is_not_probed():
    def refuse() -> psycopg.Connection:
        raise AssertionError("no connection is needed")

    found = estimate(refuse, schema_for(SMALL, "crdb_rbr"), SMALL, connections=2)
    assert found.note == NOT_MEASURED == "not measured on CockroachDB"
    assert (found.disk_bytes, found.wal_bytes, found.sort_bytes, found.view_bytes) == (None,) * 4
    for table in found.tables:
        assert (table.disk_bytes, table.seconds.copy, table.seconds.build, table.seconds.finish) == (None,) * 4
        assert table.seconds.total == table.seconds.generate > 0
    data = DataSet(SMALL)
    sent = sum(len(data.make(block, "text").body) for block in data.blocks())
    assert found.wire_bytes == pytest.approx(sent, rel=0.05)
    assert [work.phase for work in found.work] == ["copy"]
    with pytest.raises(ValueError, match="not measured on CockroachDB"):
        disk_needed(found, 1)


def test_disk_is_needed_for_copies_wal_and_sorting(small: Estimate):
    one = replace(small, tables=small.tables[:1], view_bytes=1000, wal_bytes=500, sort_bytes=70)
    held = small.tables[0].disk_bytes + 1000
    assert disk_needed(one, 1) == held + 570
    assert disk_needed(one, 2) == 2 * held + 570
    assert disk_needed(one, 2, max_wal_bytes=100) == 2 * held + 170
    assert disk_needed(replace(one, wal_bytes=10**12), 1) == held + 4 * 2**30 + 70


def test_more_connections_sort_more_at_once(small: Estimate, pg_url: str):
    eight = estimate(opening(pg_url), schema_for(SMALL), SMALL, connections=8)
    assert small.sort_bytes < eight.sort_bytes <= 4 * small.sort_bytes


def test_too_small_a_disk_is_refused_with_the_values():
    require_disk(6_100_000_000, 6_100_000_000, "/path", "medium")
    with pytest.raises(TargetError) as caught:
        require_disk(2_000_000_000, 6_100_000_000, "/path", "medium")
    assert caught.value.message == "scale medium needs about 6.1 GB, /path has 2 GB free"
    assert "BENCH_HOME" in str(caught.value.hint)
    assert "--scale" in str(caught.value.hint)


def test_the_bound_grows_with_rows_copies_and_regions():
    assert (
        upper_bound_bytes(replace(TINY, scale="medium"))
        > sum(row_counts(replace(TINY, scale="medium")).values()) * 3000
    )
    assert upper_bound_bytes(TINY, 2) == pytest.approx(upper_bound_bytes(TINY) * 4 / 3)
    assert upper_bound_bytes(TINY) > upper_bound_bytes(replace(TINY, regions=TINY.regions[:1]))
