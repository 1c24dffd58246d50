"""The summary's numbers, worked out by hand on cells small enough to do so."""

from dataclasses import replace

import numpy as np
import pytest

from bench.metrics.frame import ArrivalCell, RetryCell, StatementCell, TransactionCell
from bench.metrics.histogram import Histogram
from bench.metrics.outcome import Finding, StockRow
from bench.stats.merge import Pool, merge_transactions
from bench.stats.phases import Phase
from bench.stats.summary import Material, summarise
from bench.stats.validity import Evidence, Validity
from bench.stats.verdict import headline

PHASES = (Phase("warm-up", 0, 5, measured=False), Phase("steady", 5, 10, measured=True))


def times(*ms):
    return Histogram.of(np.array([round(value * 1e6) for value in ms], np.int64))


def cell(region, name, outcome, kind, *ms, attempts=None, phase="steady"):
    service = times(*(value / 2 for value in ms))
    return TransactionCell(phase, region, name, outcome, kind, len(ms), attempts or len(ms), times(*ms), service)


CELLS = (
    cell("east", "checkout", "ok", "ok", 10, 20, 30, attempts=5),
    cell("east", "checkout", "sold out", "business", 40),
    cell("east", "checkout", "retries exhausted", "failure", 9000, attempts=4),
    cell("west", "checkout", "ok", "ok", 100),
    cell("west", "browse", "ok", "ok", 1, 2),
    cell("east", "checkout", "ok", "ok", 5000, phase="warm-up"),
    cell("east", "session:buy", "ok", "ok", 70, 80),
    cell("east", "session:buy", "failed", "failure", 9000),
)


def material(**changes):
    fields = {
        "status": "complete",
        "detail": "",
        "validity": Validity("VALID"),
        "evidence": Evidence(PHASES),
        "regions": ("west", "east"),
        "distance_ms": {"west": 60.0},
        "phases": PHASES,
        "t0_s": None,
        "end_s": None,
        "transactions": CELLS,
    }
    return Material(**(fields | changes))


def test_a_region_counts_only_measured_transactions():
    summary = summarise(material())
    assert [group.region for group in summary.regions] == ["west", "east"]
    east = summary.regions[1]
    assert (east.count, east.committed, east.business, east.failed) == (5, 3, 1, 1)
    assert (east.count_per_s, east.committed_per_s) == (0.5, 0.3)
    assert east.attempts_per_commit == pytest.approx(5 / 3)
    assert east.retries == 5 + 1 + 4 - 5


def test_latency_is_of_answers_and_failures_are_apart():
    east = summarise(material()).regions[1]
    assert (east.response.count, east.response.censored) == (4, 1)
    assert (east.response.max_ms, east.response.at_least) == (9000, ("p95_ms", "p99_ms", "p999_ms", "max_ms"))
    assert east.response.p50_ms == pytest.approx(30, rel=1e-3)  # of five, not of the four with an answer
    assert east.response.mean_ms == 25
    assert summarise(material()).regions[0].response.at_least == ()
    outcomes = [(row.outcome, row.kind, row.count, row.response.max_ms) for row in east.outcomes]
    assert outcomes == [
        ("ok", "ok", 3, 30),
        ("sold out", "business", 1, 40),
        ("retries exhausted", "failure", 1, 9000),
    ]


def test_the_total_pools_all_regions():
    summary = summarise(material())
    assert summary.total.count == 8
    assert (summary.total.response.p99_ms, summary.total.response.at_least[0]) == (9000, "p95_ms")
    assert [group.transaction for group in summary.transactions] == ["browse", "checkout"]
    pairs = [(group.transaction, group.region, group.count) for group in summary.region_transactions]
    assert pairs == [("browse", "west", 2), ("checkout", "west", 1), ("checkout", "east", 5)]


def test_sessions_are_apart():
    summary = summarise(material())
    assert [(g.transaction, g.region, g.count, g.failed) for g in summary.sessions] == [
        ("buy", None, 3, 1),
        ("buy", "east", 3, 1),
    ]
    assert all("session" not in (group.transaction or "") for group in summary.transactions)


def test_arrivals_compare_with_sessions_answered():
    offered = ArrivalCell("steady", "east", "buy", 10, 8, 2, times(1, 2), times(0.1, 0.2))
    warm = ArrivalCell("warm-up", "east", "buy", 99, 99, 0, times(), times())
    summary = summarise(material(arrivals=(offered, warm)))
    west, east = summary.arrivals
    assert (east.offered, east.started, east.dropped, east.ended) == (10, 8, 2, 2)
    assert (east.offered_per_s, east.ended_per_s) == (1.0, 0.2)
    assert west.offered_per_s is None
    assert summary.total_arrivals.offered == 10


def test_a_run_cut_short_has_a_shorter_measured_time():
    summary = summarise(material(status="interrupted", end_s=9.0))
    assert summary.measured_s == 4
    assert summary.regions[1].committed_per_s == 3 / 4


def test_a_run_cut_short_in_its_warm_up_has_no_rates():
    summary = summarise(material(status="killed", end_s=3.0, transactions=CELLS[5:6]))
    assert summary.total.count == 0
    assert (summary.total.count_per_s, summary.total.response.p50_ms) == (None, None)
    assert headline(summary).title == "KILLED · NOTHING MEASURED"


def test_aborts_by_reason_with_their_cost():
    retries = (
        RetryCell("steady", "east", "checkout", "COMMIT", "40001", "", 3, 30_000_000),
        RetryCell("steady", "west", "checkout", "UPDATE", "40001", "", 1, 5_000_000),
        RetryCell("steady", "east", "checkout", "UPDATE", "40P01", "", 9, 1_000_000),
        RetryCell("warm-up", "east", "checkout", "UPDATE", "40P01", "", 100, 1_000_000),
    )
    summary = summarise(material(retries=retries))
    assert [(row.reason, row.count, row.wasted_ms) for row in summary.total.aborts] == [
        ("40P01", 9, 1),
        ("40001", 4, 35),
    ]
    assert [(row.reason, row.region, row.wasted_ms) for row in summary.aborts] == [
        ("40001", "east", 30),
        ("40001", "west", 5),
        ("40P01", "east", 1),
    ]
    assert [row.count for row in summary.regions[0].aborts] == [1]


def test_statements_by_their_share_of_the_time():
    statements = (
        StatementCell("steady", "east", "checkout", "COMMIT", 2, 1, times(10, 20)),
        StatementCell("steady", "west", "checkout", "COMMIT", 1, 0, times(30)),
        StatementCell("steady", "west", "browse", "search", 1, 0, times(40)),
        StatementCell("warm-up", "west", "browse", "search", 1, 0, times(4000)),
    )
    rows = summarise(material(statements=statements)).statements
    assert [(row.statement, row.count, row.errors, row.share) for row in rows] == [
        ("COMMIT", 3, 1, 0.6),
        ("search", 1, 0, 0.4),
    ]


def test_who_won():
    summary = summarise(material(wins={"east": (3, 6), "north": (1, 2)}))
    assert [(row.region, row.orders, row.units, row.share) for row in summary.wins] == [
        ("west", 0, 0, 0),
        ("east", 3, 6, 0.75),
        ("north", 1, 2, 0.25),
    ]
    assert summarise(material()).wins == ()


@pytest.mark.parametrize(
    ("changes", "level", "title"),
    [
        ({}, "good", "VALID"),
        ({"validity": Validity("DEGRADED", ("late",))}, "caution", "DEGRADED"),
        ({"validity": Validity("INVALID", ("lost",))}, "bad", "INVALID"),
        ({"status": "interrupted", "end_s": 9.0}, "caution", "INTERRUPTED"),
        ({"status": "target_lost", "end_s": 9.0}, "bad", "TARGET LOST"),
        ({"findings": (Finding("r", "rule", False, 1),)}, "bad", "DATA WRONG"),
        ({"stock": (StockRow("i", "p", "east", 5, 6, 1, 0, 1.0),)}, "bad", "DATA WRONG"),
        (
            {
                "validity": Validity("INVALID", ("lost",)),
                "status": "crashed",
                "findings": (Finding("r", "x", False, 1),),
            },
            "bad",
            "INVALID · DATA WRONG · CRASHED",
        ),
    ],
)
def test_the_headline_names_the_most_serious_first(changes, level, title):
    head = headline(summarise(material(**changes)))
    assert (head.level, head.title) == (level, title)
    assert bool(head.reasons) == (title != "VALID")


def test_the_result_sentence_tells_the_sale():
    stock = (StockRow("i", "p", "east", 500, 400, 0, 100, None),)
    head = headline(summarise(material(stock=stock, findings=(Finding("a", "x", True, 0), Finding("b", "y", True, 0)))))
    assert head.result == (
        "0.6 transactions/s committed; response p50 20 ms, p99 ≥ 9.00 s; service p99 ≥ 4.50 s; "
        "400 of 500 units sold, none oversold; all 2 audit rules hold."
    )


def test_a_pool_of_many_parts_loses_nothing():
    pool = Pool()
    for number in range(1000):
        pool.add(times(1 + number % 10))
    assert len(pool.parts) <= 64
    assert pool.histogram().count == 1000
    assert pool.histogram().max_ms == 10


def test_merging_keeps_labels_apart_and_sorted():
    merged = merge_transactions(CELLS, ("name", "kind"))
    assert list(merged) == sorted(merged)
    assert merged["checkout", "ok"].count == 5
    assert merged["checkout", "ok"].attempts == 7


def test_a_session_that_was_dropped_is_one_transaction_without_an_answer():
    dropped = cell("east", "session:buy", "dropped", "failure", 700, 800, attempts=0)
    dropped = replace(dropped, attempts=0)
    before, after = summarise(material()), summarise(material(transactions=(*CELLS, dropped)))
    assert after.total.response.censored == before.total.response.censored + 2
    assert after.total.service == before.total.service
    assert (after.total.count, after.total.failed) == (before.total.count, before.total.failed)
    assert after.regions[1].response.censored == 3
    assert after.regions[0] == before.regions[0]
    assert after.transactions == before.transactions
    sessions = next(group for group in after.sessions if group.region == "east")
    assert (sessions.failed, sessions.retries, sessions.response.censored) == (3, 0, 3)


def test_what_ended_in_the_drain_is_in_the_times_and_not_in_the_rates():
    late = {("east", "checkout", "ok"): 2, ("east", "checkout", "business"): 1, ("east", "session:buy", "ok"): 1}
    before, after = summarise(material()), summarise(material(drained=late))
    east = after.regions[1]
    assert (east.drained, east.count_per_s, east.committed_per_s) == (3, 0.2, 0.1)
    assert (east.response, east.count) == (before.regions[1].response, before.regions[1].count)
    assert after.regions[0] == before.regions[0]
    assert (after.total_arrivals.ended, after.total_arrivals.drained) == (2, 1)
    assert after.total_arrivals.ended_per_s == 0.1


def test_three_clocks_and_commit_apart():
    statements = (
        StatementCell("steady", "east", "checkout", "COMMIT", 2, 0, times(3, 5)),
        StatementCell("steady", "east", "checkout", "reserve", 2, 0, times(7, 9)),
    )
    attempts = (
        StatementCell("steady", "east", "checkout", "(attempt)", 3, 1, times(8, 9, 10)),
        StatementCell("warm-up", "east", "checkout", "(attempt)", 1, 0, times(800)),
    )
    summary = summarise(material(statements=statements, attempts=attempts))
    checkout = next(group for group in summary.transactions if group.transaction == "checkout")
    assert (checkout.attempt.count, checkout.attempt.max_ms) == (3, 10)
    assert (checkout.commit.count, checkout.commit.max_ms) == (2, 5)
    browse = next(group for group in summary.transactions if group.transaction == "browse")
    assert (browse.attempt.count, browse.commit.count) == (0, 0)
    assert summary.total.commit == checkout.commit


def test_waste_is_compared_with_service_time():
    retries = (RetryCell("steady", "east", "checkout", "UPDATE", "40001", "SKU-1", 3, 30_000_000),)
    east = summarise(material(retries=retries)).regions[1]
    assert east.wasted_ms == 30
    assert east.wasted_share == pytest.approx(30 / (5 + 10 + 15 + 20 + 4500))
    assert summarise(material()).regions[1].wasted_share == 0
