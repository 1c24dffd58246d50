"""Sessions played in a transaction that the server gives up, as CockroachDB does: by a double at the wire."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest

from bench.cli.rehearsing import Company
from bench.db.admin import Admin, admin_catalogue
from bench.db.catalogue import Catalogue, read_package
from bench.db.connection import connect
from bench.db.indexing import CockroachLab
from bench.db.rehearsal import Rehearsal
from bench.db.retry import Transaction
from bench.errors import TargetError
from bench.indexes.survey import Play, Survey
from bench.load.user import ShopUser
from tests.db.wire_double import Answer, Refusal, WireDouble

SQL = """
-- name: read
SELECT units FROM stock

-- name: take
UPDATE stock SET units = units - 1

-- name: look
SELECT now()
"""
GIVEN_UP = Refusal(
    "40001",
    "restart transaction: TransactionRetryWithProtoRefreshError: "
    "TransactionAbortedError(ABORT_REASON_NEW_LEASE_PREVENTS_TXN)",
)
PLAY = Play(1, "us-east", "buy")


class Buyer(ShopUser):
    """Reads and takes in one transaction."""

    abstract = True
    sessions: ClassVar = {"buy": "buy"}

    def buy(self, rng: Random) -> None:
        self.transact("buy", Transaction(lambda session: (session.execute("read"), session.execute("take"))), rng)


class Looking:
    """Makes visitors that send a statement of their own before each of the workload, and undo it."""

    def __init__(self) -> None:
        self.seen: list[list[str]] = []

    def __call__(self):
        seen: list[str] = []
        self.seen.append(seen)

        def visit(session: Rehearsal, name: str, _: object) -> None:
            with session.savepoint("arm"):
                session.timed_ms("look", None)
            seen.append(name)

        return visit


@pytest.fixture
def double() -> Iterator[WireDouble]:
    with WireDouble() as made:
        yield made


@pytest.fixture
def company(double: WireDouble, tmp_path: Path) -> Iterator[Company]:
    (tmp_path / "s.sql").write_text(SQL)
    catalogue = Catalogue.load([tmp_path, read_package("bench.db", "sql")], "cockroach")
    made = Company(Buyer, {"us-east": lambda: connect(double.url())}, catalogue)
    double.sent.clear()
    yield made
    made.rest()


def test_a_session_is_played_in_savepoints_and_undone(company: Company, double: WireDouble) -> None:
    looking = Looking()
    company.play(PLAY, looking)
    assert looking.seen == [["read", "take"]]
    assert double.sent[:2] == ["BEGIN", "SAVEPOINT shopbench_transaction"]
    assert double.sent[-2:] == ["RELEASE SAVEPOINT shopbench_transaction", "ROLLBACK"]


@pytest.mark.parametrize("at", ["SELECT units", "UPDATE", "SELECT now()"])
def test_what_the_server_gave_up_is_played_again_from_its_beginning(
    company: Company, double: WireDouble, at: str
) -> None:
    double.script = {at: [GIVEN_UP, GIVEN_UP, Answer()]}
    looking = Looking()
    company.play(PLAY, looking)
    takes = " ".join(double.sent).split("BEGIN ")[1:]
    assert len(takes) == len(looking.seen) == 3
    assert looking.seen[-1] == ["read", "take"]
    for take in takes[:2]:
        # From the refusal nothing leads on but the end of the transaction.
        assert take.rstrip().endswith("ROLLBACK")
        assert take[take.rindex(at) :].split()[-1] == "ROLLBACK"
        assert "SAVEPOINT" not in take[take.rindex(at) :]
    assert double.connections == 2  # one to prepare by, one of the user: none was lost


def test_a_survey_counts_only_what_was_not_given_up(company: Company, double: WireDouble) -> None:
    double.script = {"UPDATE": [GIVEN_UP, Answer()], "EXPLAIN": [Answer(("info",), (("• scan",),))]}
    catalogue = admin_catalogue("cockroach")
    with connect(double.url()) as connection:
        survey = Survey("cockroach", CockroachLab(Admin(connection, catalogue)), catalogue, {})
        survey.play_all(company.play, ["buy"], ["us-east"])
    assert {tuple(sent.items()) for sent in survey.sent.values()} == {(("read", 1), ("take", 1))}
    assert survey.played == {"read", "take"}


def test_a_session_that_is_given_up_each_time_is_an_error(company: Company, double: WireDouble) -> None:
    double.script = {"UPDATE": [GIVEN_UP] * 9}
    with pytest.raises(TargetError, match=r"gave a transaction up 5 times: session 'buy' in us-east") as told:
        company.play(PLAY, Looking())
    assert "ABORT_REASON_NEW_LEASE" in (told.value.cause or "")
    assert double.sent.count("BEGIN") == 5
    assert double.sent[-1] == "ROLLBACK"
