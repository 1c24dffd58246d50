"""What is read once, after the last user has gone: rows by their home, or an event that says why not."""

from datetime import date

import psycopg

import bench.load  # noqa: F401  (patches the standard library before psycopg is imported)
from bench.db.admin import Admin
from bench.db.catalogue import Catalogue, read_package
from bench.db.ddl import load_schema
from bench.db.observe import PLACEMENT, CounterReader
from bench.load.beside import LastLook
from bench.metrics.frame import Frame
from bench.metrics.recorder import Recorder

PHASES = (("warm-up", 5.0), ("sale", 9.0))


def look(url: str) -> Frame:
    reader = CounterReader(url, Catalogue.load([read_package("bench.db", "sql")], "postgres"), sources=PLACEMENT)
    recorder = Recorder(tuple(name for name, _ in PHASES))
    companion = LastLook(reader, PHASES, 30.0)
    companion.begin(recorder)
    companion.run(0)
    companion.end(9.5)
    return recorder.take(1, 10.0, 1000.0).fold(None, {})


def test_rows_are_counted_by_their_home(fresh_database: str) -> None:
    """The text that leaseholders on CockroachDB are held against is the same on both; the leaseholders are its own."""
    users = "INSERT INTO users (region, email, username, password_hash) VALUES (%s, %s, %s, 'h')"
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        Admin.of(connection, "postgres").apply(load_schema("pg", ("us-east", "eu-west"), date(2026, 3, 1)))
        for email, region in (("a@x", "us-east"), ("b@x", "eu-west"), ("c@x", "eu-west")):
            connection.execute(users, (region, email, email))
    frame = look(fresh_database)
    assert sorted((c.moment, c.region, c.kind, c.name, c.metric, c.value) for c in frame.counters) == [
        ("sale", "eu-west", "home", "users", "rows", 2.0),
        ("sale", "us-east", "home", "users", "rows", 1.0),
    ]
    assert frame.events == ()


def test_what_the_server_refuses_is_an_event(fresh_database: str) -> None:
    frame = look(fresh_database)
    assert frame.counters == ()
    (event,) = frame.events
    assert (event.kind, event.detail) == ("counters", 'cannot read row_homes: relation "users" does not exist')


def test_a_server_that_is_gone_is_an_event() -> None:
    frame = look("postgresql://postgres@127.0.0.1:1/none")
    assert frame.counters == ()
    (event,) = frame.events
    assert event.kind == "counters_missing"
    assert event.detail.startswith("where the data is: connection failed")
