"""What is not load waits for a server that is being restarted, goes to another gateway, and gives up in words."""

import time

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from bench.db.connection import any_of, connect, value
from bench.db.patience import patiently
from bench.db.session import Effects
from bench.errors import TargetError

NOWHERE = "postgresql://postgres@127.0.0.1:1/none"


def effects(slept: list[float]) -> Effects:
    return Effects(time.perf_counter_ns, slept.append)


def test_a_server_that_comes_back_is_waited_for(pg_url: str) -> None:
    slept: list[float] = []

    def work() -> int:
        with connect(NOWHERE if len(slept) < 5 else pg_url) as connection:
            found: int = value(connection, "SELECT 7")
            return found

    assert patiently(work, 30.0, effects(slept), "nothing to read") == 7
    assert len(slept) == 5


def test_one_that_does_not_is_given_up() -> None:
    with pytest.raises(TargetError) as told:
        patiently(lambda: connect(NOWHERE), 0.0, effects([]), "the data cannot be audited")
    assert told.value.message == "the data cannot be audited: no connection for 0 ms"
    assert "refused" in (told.value.cause or "")


def test_what_the_server_refuses_for_another_reason_is_not_repeated(pg_url: str) -> None:
    slept: list[float] = []

    def work() -> None:
        with connect(pg_url) as connection:
            connection.execute("SELECT 1 / 0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        patiently(work, 30.0, effects(slept), "nothing")
    assert slept == []


def test_of_several_gateways_the_first_that_answers_is_used(pg_url: str) -> None:
    parts = conninfo_to_dict(pg_url)
    dead = pg_url.replace(f":{parts['port']}/", ":1/")
    assert any_of([pg_url, pg_url]) == pg_url
    with connect(any_of([dead, pg_url])) as connection:
        assert value(connection, "SELECT 7") == 7
    # Another user or database cannot be in the same address.
    other = pg_url.replace("postgresql://postgres:", "postgresql://someone:")
    assert any_of([pg_url, other]) == pg_url
