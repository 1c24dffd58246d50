"""Where the server keeps statistics by the application's name, sessions go by their phase, and it costs no session twice."""

import time
from collections.abc import Iterator, Mapping
from functools import partial
from random import Random
from typing import ClassVar

import pytest

import bench.load  # noqa: F401  (patches the standard library before psycopg is imported)
from bench.db.catalogue import Catalogue, read_package
from bench.db.connection import connect
from bench.db.retry import RetryPolicy
from bench.db.session import Effects, Session
from bench.load import locust
from bench.load.gateways import application_name
from bench.load.user import NAME_SESSION, Arrival, Equipment, ShopUser
from bench.metrics.recorder import Recorder

PHASES = ("warm-up", "sale")


class Reader(ShopUser):
    """A shopper whose session asks under which name it goes by."""

    abstract = False
    sessions: ClassVar[Mapping[str, str]] = {"ask": "ask"}
    seen: ClassVar[list[str]] = []

    def ask(self, rng: Random) -> None:
        self.seen.append(self.session.execute("own_name")[0][0])


@pytest.fixture
def catalogue(tmp_path) -> Catalogue:
    (tmp_path / "own.sql").write_text("-- name: own_name\nSHOW application_name\n")
    # The statement that names a session is CockroachDB's; the function is PostgreSQL's as well.
    return Catalogue.load([tmp_path, read_package("bench.db", "sql")], "cockroach")


@pytest.fixture
def shopper(pg_url: str, catalogue: Catalogue) -> Iterator[ShopUser]:
    recorder, effects = Recorder(PHASES), Effects(time.perf_counter_ns, time.sleep)
    name = application_name("run-1", "eu-west")

    def connected(user: ShopUser) -> Session:
        return Session("eu-west", partial(connect, pg_url, application=name), catalogue, user, effects)

    Reader.seen.clear()
    Reader.equipment = Equipment(
        "eu-west", connected, None, recorder, RetryPolicy(1, 1, 1), effects, None, PHASES, application=name
    )
    user = Reader(locust.env.Environment())
    yield user
    user.session.drop()


def play(user: ShopUser, *phases: int) -> None:
    for phase in phases:
        user._play(Arrival(0, "ask", phase, time.perf_counter_ns(), 1))


def test_a_session_goes_by_run_region_and_phase(shopper: ShopUser) -> None:
    play(shopper, 0, 0, 1, 1)
    assert Reader.seen == [f"shopbench/run-1/eu-west/{phase}" for phase in ("warm-up", "warm-up", "sale", "sale")]
    frame = shopper.equipment.recorder.take(1, 1.0, 1000.0).fold(None, {})
    named = [(cell.phase, cell.transaction, cell.count) for cell in frame.statements if cell.statement == NAME_SESSION]
    assert named == [("warm-up", "", 1), ("sale", "", 1)]


def test_without_a_name_nothing_is_sent(shopper: ShopUser) -> None:
    shopper.equipment.application = ""
    play(shopper, 0, 1)
    assert Reader.seen == ["shopbench/run-1/eu-west"] * 2


def test_a_connection_that_is_lost_meanwhile_is_the_sessions_to_open_anew(shopper: ShopUser, pg_url: str) -> None:
    play(shopper, 0)
    with connect(pg_url) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE 'shopbench/run-1/%'"
        )
    shopper._name_phase(1)
    shopper.session.drop()
    play(shopper, 1)
    assert Reader.seen[-1] == "shopbench/run-1/eu-west"
