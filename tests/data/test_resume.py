"""A load that ends early, however it ends, goes on to the very rows of one that did not."""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from tests_support import HANG_S, command, drop_database

from bench.cli.options import TargetOptions
from bench.cli.seeding import SeedRequest, seed_url
from bench.data import lanes, loader
from bench.data.blocks import DataSet, Rows
from bench.data.lanes import Lane, Plan
from bench.data.loader import LoadOptions, load
from bench.data.tally import Progress
from bench.db import journal
from bench.db.ddl import BEFORE_LOAD, load_schema
from bench.db.journal import Journal
from bench.errors import TargetError
from bench.target.embedded import EmbeddedServer, ServerOptions
from bench.target.supervisor import is_alive

from .conftest import AS_OF, REGIONS, TINY, Loaded, checksums, fill

UNITS = 120
"""Entries of the journal of a tiny load, about: blocks and statements of the schema."""
SEED = ("seed", "--scale", "tiny", "--seed", "7", "--as-of", AS_OF.isoformat())


@pytest.fixture(scope="module")
def expected(tiny: Loaded) -> dict[str, tuple[int, str]]:
    return checksums(tiny.url)


def entries(url: str) -> int:
    """How many units of work are committed; none before there is a journal, or while the server is away."""
    try:
        with psycopg.connect(url) as connection:
            row = connection.execute("SELECT count(*) FROM shopbench_load").fetchone()
    except psycopg.Error:
        return 0
    return int(row[0]) if row else 0


@contextmanager
def seeding(*arguments: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [command(), *SEED, *arguments],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def kill_at(process: "subprocess.Popen[str]", url: str, units: int, kill: Callable[[], None]) -> None:
    """Kill once so many units of work are committed, or the load is over."""
    while process.poll() is None and entries(url) < units:
        threading.Event().wait(0.002)
    kill()


def wait_until(is_so: Callable[[], bool]) -> None:
    until = time.monotonic() + HANG_S
    while not is_so():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def until_its_sessions_end(url: str) -> None:
    """What a killed loader has left at the server keeps another one out, which waits half a minute at most."""
    sessions = """SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name LIKE 'shopbench%'"""
    with psycopg.connect(url, autocommit=True) as connection:
        wait_until(lambda: connection.execute(sessions).fetchone() == (0,))


def resumed(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [command(), *SEED, "--resume", *arguments],
        env={**os.environ, "BENCH_URL": url},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


def kill_the_loader(url: str, units: int) -> None:
    with seeding("--processes", "2", BENCH_URL=url) as process:
        kill_at(process, url, units, lambda: os.kill(process.pid, signal.SIGKILL))
        process.wait(HANG_S)
        if process.returncode == 0:
            return
    until_its_sessions_end(url)
    refused = subprocess.run(
        [command(), "run", "flash-sale", "--url", url, "--duration", "2s"], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 3, "a load that did not finish was taken for a finished one"


@pytest.mark.slow
@pytest.mark.parametrize("units", [60])
def test_a_killed_loader_is_resumed(fresh_database: str, expected: dict[str, tuple[int, str]], units: int):
    kill_the_loader(fresh_database, units)
    done = resumed(fresh_database)
    assert done.returncode == 0, done.stderr
    assert checksums(fresh_database) == expected


@pytest.mark.slow
@pytest.mark.parametrize("point", range(10))
def test_ten_random_points(fresh_database: str, expected: dict[str, tuple[int, str]], point: int):
    """Killed at a random unit, resumed and killed at another one, then resumed to the end."""
    rng = random.Random(point)
    first, second = sorted(rng.sample(range(UNITS), 2))
    kill_the_loader(fresh_database, first)
    with seeding("--resume", "--processes", "1", BENCH_URL=fresh_database) as process:
        kill_at(process, fresh_database, second, lambda: os.kill(process.pid, signal.SIGKILL))
    until_its_sessions_end(fresh_database)
    done = resumed(fresh_database)
    assert done.returncode == 0, done.stderr
    assert checksums(fresh_database) == expected


def slot_of_a_server_killed_in_a_load(home: Path, units: int) -> int | None:
    """Return which of the home's servers it was; None where the load was over before the kill."""
    with EmbeddedServer.start(home, ServerOptions({"jit": "off"}, start_timeout_s=HANG_S)) as server:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("DROP DATABASE IF EXISTS shop")
            connection.execute("CREATE DATABASE shop")
        slot, pids = server.slot, []

        def kill() -> None:
            pids.extend(server.processes())
            os.kill(pids[0], signal.SIGKILL)

        with seeding(BENCH_URL=server.url("shop")) as process:
            kill_at(process, server.url("shop"), units, kill)
            _, said = process.communicate(timeout=HANG_S)
        # Those that it had started, for the load too, hold its folder until they have gone.
        wait_until(lambda: not any(map(is_alive, pids)))
        if process.returncode == 0:
            return None
        assert process.returncode == 3, said
        assert "--resume" in said
        return slot


@pytest.mark.slow
@pytest.mark.parametrize("units", [5, 40, 70, 110])
def test_a_killed_server_is_started_again_and_the_load_resumed(
    own_home: Path, expected: dict[str, tuple[int, str]], units: int
):
    """With the settings of a durable server: what a commit has promised is there after a crash."""
    tries = (slot_of_a_server_killed_in_a_load(own_home, units) for _ in range(20))
    slot = next((slot for slot in tries if slot is not None), None)
    assert slot is not None, "no kill came before the end of a load"
    with EmbeddedServer.start(own_home, ServerOptions({"jit": "off"}, start_timeout_s=HANG_S)) as server:
        assert server.slot == slot
        done = resumed(server.url("shop"))
        assert done.returncode == 0, done.stderr
        assert checksums(server.url("shop")) == expected


@pytest.mark.parametrize(("processes", "connections"), [(2, 3), pytest.param(5, 7, marks=pytest.mark.slow)])
def test_any_number_of_processes_gives_the_same_rows(
    fresh_database: str, expected: dict[str, tuple[int, str]], processes: int, connections: int
):
    loaded = fill(fresh_database, TINY, connections=connections, processes=processes)
    assert checksums(fresh_database) == expected
    assert loaded.report.resumed == 0


def test_a_block_that_the_server_refuses_is_named(monkeypatch: pytest.MonkeyPatch, fresh_database: str):
    monkeypatch.setattr(DataSet, "make", lambda *_: Rows("users", ("region",), b"not binary", 1))
    with pytest.raises(TargetError, match=r"COPY to users \(categories from 0\) failed"):
        load(everywhere(fresh_database), load_schema("pg", REGIONS, AS_OF), DataSet(TINY))


def test_a_lost_connection_costs_no_row(
    fresh_database: str, expected: dict[str, tuple[int, str]], monkeypatch: pytest.MonkeyPatch
):
    """Every seventh block, all sessions that copy are ended by the server."""
    monkeypatch.setattr(lanes, "RECONNECT_S", HANG_S)
    calls = 0

    def end_sessions(progress: Progress) -> None:
        nonlocal calls
        calls += progress.phase == "copy"
        if progress.phase == "copy" and calls % 7 == 0:
            with psycopg.connect(fresh_database, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
                    [lanes.APPLICATION],
                )

    report = load(
        everywhere(fresh_database), load_schema("pg", REGIONS, AS_OF), DataSet(TINY), LoadOptions(1, 3), end_sessions
    )
    assert report.retried > 0
    assert checksums(fresh_database) == expected


def everywhere(url: str) -> Mapping[str, str]:
    return dict.fromkeys(REGIONS, url)


def test_a_server_that_stays_away_ends_the_load(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lanes, "RECONNECT_S", 0.3)
    data, gone = DataSet(TINY), Plan(everywhere("postgresql://postgres@127.0.0.1:1/shop"), "postgres", TINY)
    with pytest.raises(TargetError, match="COPY to categories"):
        Lane(gone, data).load(next(iter(data.blocks())))


def test_a_second_load_at_the_same_time_is_refused_and_removes_nothing(
    monkeypatch: pytest.MonkeyPatch, copy_of_tiny: str
):
    """The first one's session, held by hand; --fresh --yes of the second would otherwise drop what the first loads."""
    monkeypatch.setattr(journal, "_LOCK_WAIT_S", 0.3)
    request = SeedRequest(TINY, fresh=True, yes=True)
    with psycopg.connect(copy_of_tiny, autocommit=True) as first:
        Journal.of(first, "postgres").share()
        with pytest.raises(TargetError, match="another load is at work"):
            seed_url(TargetOptions(copy_of_tiny, (), None, None), request)
        assert first.execute("SELECT count(*) FROM orders").fetchone() == (400,)


def test_a_lane_that_comes_back_to_another_load_is_turned_away(fresh_database: str):
    data = DataSet(TINY)
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        for stage in BEFORE_LOAD:
            for ddl in load_schema("pg", REGIONS, AS_OF).stage(stage):
                connection.execute(ddl.sql.encode())
        number, done = Journal.of(connection, "postgres").open()
        assert Journal.of(connection, "postgres").open() == (number, done)
        lane = Lane(Plan(everywhere(fresh_database), "postgres", TINY, number), data)
        blocks = list(data.blocks())
        lane.load(blocks[0])
        connection.execute("UPDATE shopbench_load SET first_unit = first_unit + 1 WHERE part = 'load'")
        with pytest.raises(TargetError, match="another load has taken over"):
            lane.load(blocks[1])
        lane.close()
        assert connection.execute("SELECT count(*) FROM products").fetchone() == (0,)


def test_rows_of_somebody_else_are_noticed(fresh_database: str):
    def write(progress: Progress) -> None:
        if progress.phase == "statistics" or (progress.phase == "keys" and progress.done == 1):
            with psycopg.connect(fresh_database) as connection:
                connection.execute("DELETE FROM coupon_usages")

    with pytest.raises(TargetError, match=r"coupon_usages holds 0 rows where \d+ were loaded"):
        load(everywhere(fresh_database), load_schema("pg", REGIONS, AS_OF), DataSet(TINY), progress=write)


def test_each_regions_rows_go_through_its_own_gateway(server: EmbeddedServer):
    """Four databases stand in for four gateways, so that what went where can be seen."""
    schema, names = load_schema("pg", REGIONS, AS_OF), [f"gateway_{number}_{os.getpid()}" for number in range(4)]
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
    try:
        for name in names:
            with psycopg.connect(server.url(name), autocommit=True) as connection:
                for stage in BEFORE_LOAD:
                    for ddl in schema.stage(stage):
                        connection.execute(ddl.sql.encode())
                Journal.of(connection, "postgres").open()
                connection.execute("UPDATE shopbench_load SET first_unit = 7 WHERE part = 'load'")
        data = DataSet(TINY)
        lane = Lane(Plan({r: server.url(n) for r, n in zip(REGIONS, names)}, "postgres", TINY, 7), data)
        for block in data.blocks():
            lane.load(block)
        lane.close()
        for region, name in zip(REGIONS, names):
            with psycopg.connect(server.url(name)) as connection:
                for table in ("users", "orders", "order_items", "inventory"):
                    rows = connection.execute(f"SELECT DISTINCT region::TEXT FROM {table}").fetchall()
                    assert rows == [(region,)], table
                count = connection.execute("SELECT count(*) FROM products").fetchone()
            assert count == ((28,) if region == REGIONS[0] else (0,))
    finally:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            for name in names:
                drop_database(connection, name)


def test_a_choice_of_tables_brings_its_parents(fresh_database: str):
    schema = load_schema("pg", REGIONS, AS_OF)
    tables = loader.with_parents(schema.model, ["user_addresses"])
    assert tables == {"users", "user_addresses"}
    report = load(everywhere(fresh_database), schema, DataSet(TINY), LoadOptions(tables=tables))
    assert {table for table, rows in report.rows.items() if rows} == tables
