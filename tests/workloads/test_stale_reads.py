"""On CockroachDB reports read from the nearest replica as of a moment ago, and views are refreshed outside transactions."""

from functools import partial
from random import Random
from types import SimpleNamespace

from bench.workloads.back_office import BackOffice, Batches

import bench.load  # noqa: F401  (patches the standard library before psycopg is imported)
from bench.db.catalogue import Catalogue, read_package

STALE = "AS OF SYSTEM TIME follower_read_timestamp()"


def test_every_report_and_refresh_reads_as_of_a_moment_ago() -> None:
    statements = Catalogue.load([read_package("bench.workloads", "sql").joinpath("reports.sql")], "cockroach")
    assert len(statements) >= 7
    # One text for both databases would lack it here.
    assert [name for name, statement in statements.items() if STALE not in statement.sql] == []


def test_each_of_them_is_a_statement_of_its_own() -> None:
    sent: list[tuple[str, bool]] = []
    desk = SimpleNamespace(region="eu-west", _batches=Batches())
    desk.transact = lambda name, transaction, rng: sent.append((name, transaction.explicit))
    desk._report = partial(BackOffice._report, desk)
    BackOffice.refresh_views(desk, Random(1))  # type: ignore[arg-type]
    BackOffice.read_reports(desk, Random(1))  # type: ignore[arg-type]
    assert len(sent) == 6
    assert not [name for name, explicit in sent if explicit]
