"""Cells of the page against the rows of the store, worked out again one row after another; and the tables as CSV."""

import csv
import sqlite3
from collections import defaultdict

import pytest
from bench.reports.numbers import interval, ms, ratio, share
from bench.reports.write import write_and_summarise

from bench.metrics.histogram import Histogram
from bench.results.frames import Label, all_frame_histograms
from bench.results.read import Run
from bench.stats.bootstrap import percentile_intervals
from tests.reports.reading import Page
from tests.results.synthetic import DISTANCE_MS, REGIONS, write_run

MEASURED = ("ramp", "spike", "after")


@pytest.fixture(scope="module")
def sale(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "sale"
    write_run(path)
    (path / "csv").mkdir()
    (path / "csv" / "of-an-older-report.csv").write_text("x")
    paths, summary = write_and_summarise(path, with_tables=True)
    db = sqlite3.connect(path / "run.sqlite")
    yield path, db, Page(paths[0].read_text()), summary
    db.close()


def measured(db, query):
    return [row[1:] for row in db.execute(query) if row[0] in MEASURED]


def test_statements(sale):
    _, db, page, _ = sale
    counts, spent = defaultdict(int), defaultdict(int)
    for transaction, statement, count, packed in measured(
        db, "SELECT phase, transaction_name, statement, count, time FROM statements"
    ):
        counts[transaction, statement] += count
        spent[transaction, statement] += Histogram.from_bytes(packed).sum_ns
    whole = sum(spent.values())
    rows = page.table("Most time in all")
    assert [(r["transaction"], r["statement"]) for r in rows] == sorted(spent, key=lambda key: -spent[key])
    for row in rows:
        key = (row["transaction"], row["statement"])
        assert row["sent"] == f"{counts[key]:,}"
        assert row["total time"] == ms(spent[key] / 1e6)
        assert row["share of time"] == share(spent[key] / whole)
        assert row["mean"] == ms(spent[key] / counts[key] / 1e6)
    frequent = [(r["transaction"], r["statement"]) for r in page.table("Most frequent")]
    assert frequent == sorted(counts, key=lambda key: (-counts[key], key))


def test_distance(sale):
    _, db, page, _ = sale
    exchanges, service = defaultdict(int), defaultdict(int)
    for region, packed in measured(db, "SELECT phase, region, time FROM statements"):
        exchanges[region] += Histogram.from_bytes(packed).count  # each is longer than its distance: none was pipelined
    for region, packed in measured(
        db, "SELECT phase, region, service FROM transactions WHERE name NOT LIKE 'session:%'"
    ):
        service[region] += Histogram.from_bytes(packed).sum_ns
    rows = page.table("Distance by region")
    assert [row["region"] for row in rows[:3]] == list(REGIONS[1:])
    for row in rows[:3]:
        region = row["region"]
        assert row["exchanges"] == f"{exchanges[region]:,}"
        travelled = exchanges[region] * DISTANCE_MS[region]
        assert row["distance in all"] == ms(travelled)
        assert row["share"] == share(travelled / (service[region] / 1e6))


def test_retries_by_region_and_statement(sale):
    _, db, page, _ = sale
    rows = measured(db, "SELECT phase, region, transaction_name, statement, count, wasted_ns FROM retries")
    for shown in page.table("By region"):
        mine = [row for row in rows if row[0] == shown["region"]]
        assert shown["aborted attempts"] == f"{sum(row[3] for row in mine):,}"
        assert shown["cost"] == ms(sum(row[4] for row in mine) / 1e6)
        committed, attempts = (
            sum(row[place] for row in measured(db, _OK) if row[0] == shown["region"]) for place in (1, 2)
        )
        assert shown["attempts per commit"] == ratio(attempts / committed)
    (refused,) = page.table("By the statement that was refused")
    assert (refused["transaction"], refused["statement"]) == ("checkout", "COMMIT")
    assert refused["aborted attempts"] == f"{sum(row[3] for row in rows):,}"


_OK = "SELECT phase, region, count, attempts FROM transactions WHERE kind = 'ok' AND name NOT LIKE 'session:%'"


def test_what_the_server_counted_beside_the_client(sale):
    _, db, page, _ = sale
    rows = {row["what"]: row for row in page.table("What the server counted beside")}
    deadlocks = db.execute("SELECT sum(count) FROM retries WHERE reason = 'deadlock_detected'").fetchone()[0] or 0
    assert (rows["deadlocks"]["server"], rows["deadlocks"]["client"]) == ("2", f"{deadlocks:,}")
    sent = db.execute("SELECT sum(count) FROM statements WHERE statement = 'reserve_stock'").fetchone()[0]
    assert (rows["calls of statements"]["server"], rows["calls of statements"]["client"]) == ("290", f"{sent:,}")


def test_intervals_are_those_of_the_seconds(sale):
    """Browsing has no failures, so its intervals are those of its seconds; with too much unanswered there is none."""
    path, _, page, summary = sale
    with Run.open(path) as run:
        frames = all_frame_histograms(run, "transaction")
    found = {(row.region, row.transaction, row.time, row.figure): row for row in summary.intervals}
    for region in (None, *REGIONS):
        for name, wanted in zip(
            ("p50_ms", "p99_ms"),
            percentile_intervals(frames[Label("transaction", "browse", region)], (50, 99)),
            strict=True,
        ):
            row = found.get((region, "browse", "response", name))
            assert (row and (row.low_ms, row.high_ms)) == (wanted and (wanted.low, wanted.high))
    assert found[None, "browse", "response", "p50_ms"]
    assert (None, "checkout", "response", "p99_ms") not in found
    row = found[None, "browse", "response", "p50_ms"]
    assert interval(row.low_ms, row.high_ms) in page.beside


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tables_as_csv(sale):
    path, _, page, _ = sale
    files = sorted((path / "csv").glob("*.csv"))
    assert len(files) == len(page.tables)
    rows = read_csv(path / "csv" / "statements-most-time-in-all.csv")
    shown = page.table("Most time in all")
    assert [row["statement"] for row in rows] == [row["statement"] for row in shown]
    assert [int(row["sent"]) for row in rows] == [int(row["sent"].replace(",", "")) for row in shown]
    for row, cell in zip(rows, shown, strict=True):
        value, unit = cell["p99"].split()
        assert float(row["p99 (ms)"]) == pytest.approx(float(value) * {"ms": 1, "s": 1000}[unit])
    table = read_csv(path / "csv" / "transactions-transactions-all-regions-together.csv")
    (whole,) = [row for row in table if row["transaction"] == "browse"]
    assert whole["response p50: 95 % interval"].startswith("[")


def test_old_tables_do_not_stay(sale):
    assert not (sale[0] / "csv" / "of-an-older-report.csv").exists()
