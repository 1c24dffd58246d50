"""The plan against what came of it, the ledger of retries, and differences of the server's counters."""

import numpy as np
import pytest

from bench.metrics.frame import ArrivalCell, Counter, RetryCell, StatementCell, TransactionCell
from bench.metrics.histogram import Histogram
from bench.stats.ledger import hot_keys, ledger
from bench.stats.offer import Executed, Offered, PlannedOffer, mix, phase_rows
from bench.stats.phases import Phase
from bench.stats.served import growth, served_rows, shown_rows
from bench.stats.serverside import cross_checks

PHASES = (
    Phase("warm-up", 0, 5, measured=False),
    Phase("base", 5, 10, measured=True),
    Phase("rest", 15, 10, measured=True),
)
PLAN = {"browse": 400.0, "shop": 100.0, "buy": 50.0}
EMPTY = Histogram.empty()


def arrival(session, offered, phase="base", region="east"):
    return ArrivalCell(phase, region, session, offered, offered, 0, EMPTY, EMPTY)


def answered(session, count, kind="ok"):
    return TransactionCell("base", "east", f"session:{session}", kind, kind, count, count, EMPTY, EMPTY)


def mixed(offered, *, is_open=True, end_s=None, sessions=()):
    planned = [PlannedOffer("base", name, "east", count) for name, count in PLAN.items()]
    planned.append(PlannedOffer("warm-up", "browse", "east", 999))
    arrivals = [arrival(name, count) for name, count in offered.items()]
    return mix(Offered(PHASES, planned, [*arrivals, arrival("browse", 999, "warm-up")], sessions, end_s, is_open))


def test_a_mix_as_planned():
    found = mixed(
        {"browse": 408, "shop": 95, "buy": 51}, sessions=(answered("shop", 90), answered("shop", 5, "failure"))
    )
    assert [(row.session, row.planned, row.offered, row.answered) for row in found.rows] == [
        ("browse", 400, 408, 0),
        ("shop", 100, 95, 90),
        ("buy", 50, 51, 0),
    ]
    assert found.rows[0].planned_share == pytest.approx(400 / 550)
    assert found.rows[0].deviation == pytest.approx(0.4)
    assert (found.chi_square, found.degrees) == (pytest.approx(8**2 / 400 + 25 / 100 + 1 / 50), 3)
    assert not found.is_doubtful


def test_sound_arrivals_are_not_doubted():
    """With a chance of one in ten thousand each, more than one of 300 happens once in two thousand sound test series."""
    rng = np.random.default_rng(1)
    series = [{name: int(rng.poisson(count)) for name, count in PLAN.items()} for _ in range(300)]
    assert sum(mixed(offered).is_doubtful for offered in series) <= 1


@pytest.mark.parametrize(
    "offered",
    [
        {"browse": 100, "shop": 400, "buy": 50},  # two sessions swapped
        {"browse": 550},  # one session for all
        {"browse": 400, "shop": 100, "buy": 100},  # one twice as often
        {"browse": 400, "shop": 100, "buy": 50, "restock": 1},  # never planned
        {},
    ],
)
def test_a_broken_mix_is_doubted(offered):
    assert mixed(offered).is_doubtful


def test_a_closed_model_is_held_to_its_shares_only():
    tenth = {"browse": 40, "shop": 10, "buy": 5}
    assert mixed(tenth).is_doubtful
    found = mixed(tenth, is_open=False)
    assert not found.is_doubtful
    assert (found.degrees, found.rows[0].planned) == (2, 40)
    assert mixed({"browse": 10, "shop": 40, "buy": 5}, is_open=False).is_doubtful


def test_phases_cut_short_are_left_out():
    assert mixed({"browse": 10}, end_s=12.0) is None
    assert mix(Offered(PHASES, (), (), (), None, is_open=True)) is None


def test_phases_as_planned_and_as_executed():
    planned = [PlannedOffer("base", "browse", "east", 10.5), PlannedOffer("base", "shop", "west", 2)]
    rows = phase_rows(PHASES, planned, [Executed("base", 5.0, 16.0, 13)], is_open=True)
    assert [(row.phase, row.planned, row.from_s, row.to_s, row.offered) for row in rows] == [
        ("warm-up", None, None, None, 0),
        ("base", 12.5, 5.0, 16.0, 13),
        ("rest", None, None, None, 0),
    ]
    assert phase_rows(PHASES, planned, [], is_open=False)[1].planned is None


def retry(reason, key, count, wasted_ms, region="east", statement="reserve"):
    return RetryCell("base", region, "checkout", statement, reason, key, count, int(wasted_ms * 1e6))


RETRIES = (
    retry("40001", "A", 3, 30),
    retry("40001", "A", 1, 5, region="west"),
    retry("40P01", "A", 1, 1),
    retry("40001", "B", 9, 50, statement="COMMIT"),
    retry("40P01", "", 1, 14),
)


def test_the_ledger_keeps_every_label_apart():
    rows = ledger(RETRIES)
    assert [(r.reason, r.key, r.region, r.count, r.wasted_ms) for r in rows] == [
        ("40001", "B", "east", 9, 50),
        ("40001", "A", "east", 3, 30),
        ("40P01", "", "east", 1, 14),
        ("40001", "A", "west", 1, 5),
        ("40P01", "A", "east", 1, 1),
    ]
    assert len(ledger([retry("40001", f"K{n}", 1, n) for n in range(999)])) == 200


def test_hot_keys_are_ranked_by_their_cost():
    first, second = hot_keys(RETRIES)
    assert (first.key, first.count, first.wasted_ms, first.share) == ("B", 9, 50, 0.5)
    assert (first.main_reason, first.main_place) == ("40001", "checkout/COMMIT")
    assert (second.key, second.count, second.wasted_ms, second.share) == ("A", 5, 36, 0.36)
    assert hot_keys(()) == ()


def counter(moment, at, name, value, metric="calls", kind="statement"):
    return Counter(moment, at, "", kind, name, metric, value)


def test_counters_are_differences_by_phase():
    rows = served_rows(
        [
            counter("start", 0, "reserve", 100),
            counter("start", 0, "reserve", 50.0, "exec_ms"),
            counter("start", 0, "other_idx", 1, "scans", "index"),
            counter("base", 10, "reserve", 130),
            counter("base", 10, "reserve", 80.0, "exec_ms"),
            counter("base", 10, "new", 7),
            counter("base", 10, "idx", 4, "scans", "index"),
            counter("rest", 20, "reserve", 130),
            counter("rest", 20, "new", 9),
        ]
    )
    assert [(row.phase, row.kind, row.name, row.values) for row in rows] == [
        ("base", "statement", "reserve", {"calls": 30, "exec_ms": 30.0}),
        ("base", "statement", "new", {"calls": 7}),
        ("base", "index", "idx", {"scans": 4}),
        ("rest", "statement", "new", {"calls": 2}),
    ]


def test_a_node_that_was_restarted_counts_from_zero():
    rows = served_rows(
        [
            counter(moment, at, "n1", value, kind="node")
            for moment, at, value in (("start", 0, 100), ("a", 9, 130), ("b", 19, 12))
        ]
    )
    assert [row.values for row in rows] == [{"calls": 30}, {"calls": 12}]
    assert served_rows(()) == ()


def test_a_sum_that_fell_says_nothing_and_begins_anew():
    """Of several servers one was restarted, or what was oldest was dropped: what was counted meanwhile nobody knows."""
    values = (("start", 0, 1000), ("a", 9, 1300), ("b", 19, 750), ("c", 29, 760))
    for kind in ("statement", "index", "lock"):
        rows = served_rows([counter(moment, at, "x", value, kind=kind) for moment, at, value in values])
        assert [(row.phase, row.values) for row in rows] == [("a", {"calls": 300}), ("c", {"calls": 10})]


@pytest.mark.parametrize("kind", ["node", "index", "table", "database"])
def test_what_was_not_read_at_the_start_begins_where_it_was_first_read(kind):
    """These count on from before the run: what they had by then is not of a phase."""
    found = served_rows(
        [
            counter("start", 0, "reserve", 5),
            counter("a", 9, "late", 9000, kind=kind),
            counter("b", 19, "late", 9010, kind=kind),
        ]
    )
    assert [(row.phase, row.name, row.values) for row in found] == [("b", "late", {"calls": 10})]


def test_sums_are_of_all_rows_and_tables_of_those_with_most():
    names = [f"s{number}" for number in range(40)]
    rows = served_rows(
        [counter(moment, at, name, value, metric) for moment, at, value in (("start", 0, 0), ("a", 9, 3)) for name in names
         for metric in ("calls", "retries")]
    )  # fmt: skip
    sent = [StatementCell("a", "us-east", "t", name, 3, 0, Histogram.empty()) for name in names]
    [check] = cross_checks(rows, (), sent)
    assert (check.server, check.client) == (120, 120)
    assert len(shown_rows(rows)) == 30


def test_one_counter_that_fell_tells_of_its_whole_row():
    """A node of several was restarted: calls fell, but time went on growing with the other nodes'."""
    rows = served_rows(
        [
            counter(moment, at, "reserve", value, metric)
            for moment, at, values in (("start", 0, (100_000, 500_000)), ("steady", 9, (98_000, 560_000)))
            for metric, value in zip(("calls", "exec_ms"), values, strict=True)
        ]
    )
    assert rows == ()


def test_a_restarted_node_counts_all_its_metrics_from_zero():
    rows = served_rows(
        [
            counter(moment, at, "n1", value, metric, "node")
            for moment, at, values in (("start", 0, (9, 100)), ("steady", 9, (3, 400)))
            for metric, value in zip(("sys_cpu_user_ns", "sql_txn_auto_retry_count"), values, strict=True)
        ]
    )
    assert [row.values for row in rows] == [{"sys_cpu_user_ns": 3, "sql_txn_auto_retry_count": 400}]


def test_what_adds_up_differently_by_a_rounding_has_neither_fallen_nor_grown():
    rows = served_rows(
        [
            counter(moment, at, "reserve", value, metric)
            for moment, at, values in (("start", 0, (5, 0.1 + 0.2 + 0.3, 0.6)), ("a", 9, (7, 0.6, 0.1 + 0.2 + 0.3)))
            for metric, value in zip(("calls", "rows", "contention_ms"), values, strict=True)
        ]
    )
    assert [row.values for row in rows] == [{"calls": 2}]


def test_a_level_that_falls_takes_no_counter_with_it():
    rows = served_rows(
        [
            counter(moment, at, "orders", value, metric, "table")
            for moment, at, values in (("start", 0, (900, 10)), ("a", 9, (0, 60)))
            for metric, value in zip(("dead_tuples", "inserted"), values, strict=True)
        ]
    )
    assert [row.values for row in rows] == [{"inserted": 50}]


IN_ORDER = ("warm-up", "steady", "cool-down")


@pytest.mark.parametrize(
    ("kind", "region"), [("statement", ""), ("statement", "us-east"), ("wait", "us-east"), ("node", "eu")]
)
def test_after_a_missed_reading_two_phases_are_in_one(kind, region):
    """Neither of them has figures of its own, and the sum over the run is whole."""
    values = (("start", 0, 100), ("warm-up", 9, 110), ("cool-down", 29, 6000))
    rows = served_rows(
        [Counter(moment, at, region, kind, "x", "calls", value) for moment, at, value in values], IN_ORDER
    )
    assert [(row.phase, row.values) for row in rows] == [
        ("warm-up", {"calls": 10}),
        ("steady + cool-down", {"calls": 5890}),
    ]


def test_what_was_refused_alone_spans_two_phases_alone():
    rows = served_rows(
        [
            *(counter(moment, at, "shop", value, "commits", "database")
              for moment, at, value in (("start", 0, 1), ("warm-up", 9, 2), ("steady", 19, 4))),
            *(counter(moment, at, "reserve", value) for moment, at, value in (("start", 0, 1), ("steady", 19, 9))),
        ],
        IN_ORDER,
    )  # fmt: skip
    assert [(row.phase, row.kind, row.values) for row in rows] == [
        ("warm-up", "database", {"commits": 1}),
        ("steady", "database", {"commits": 2}),
        ("warm-up + steady", "statement", {"calls": 8}),
    ]


def test_samples_of_a_run_whose_first_readings_are_missing_are_of_all_phases_so_far():
    rows = served_rows([counter("steady", 19, "Lock:tuple", 9, "samples", "wait")], IN_ORDER)
    assert [(row.phase, row.values) for row in rows] == [("warm-up + steady", {"samples": 9})]


def test_statements_of_the_server_that_were_refused_at_the_start_are_no_load():
    shop = counter("start", 0, "shop", 1, "commits", "database")
    read = [counter("warm-up", 9, "reserve", 9_000_000), counter("steady", 19, "reserve", 9_006_000)]
    assert [(row.phase, row.values) for row in served_rows([shop, *read], IN_ORDER)] == [("steady", {"calls": 6000})]
    # Those with a region are of the run alone.
    [row] = served_rows([shop, Counter("warm-up", 9, "us-east", "statement", "s", "calls", 5)], IN_ORDER)
    assert (row.phase, row.values) == ("warm-up", {"calls": 5})


def test_a_sum_that_climbs_over_its_highest_value_again_may_be_what_was_missing():
    values = (("start", 0, 100), ("warm-up", 9, 90), ("steady", 19, 150), ("cool-down", 29, 170))
    rows = served_rows([counter(moment, at, "x", value) for moment, at, value in values], IN_ORDER)
    assert [(row.phase, row.values) for row in rows] == [("cool-down", {"calls": 20})]


def test_a_row_that_was_missing_in_one_reading_is_left_out_after_it():
    rows = served_rows(
        [
            *(counter(moment, at, "other", at) for moment, at in (("start", 0), ("warm-up", 9), ("steady", 19))),
            counter("start", 0, "evicted", 100),
            counter("steady", 19, "evicted", 140),
        ],
        IN_ORDER,
    )
    assert {row.name for row in rows} == {"other"}


def test_growth_is_of_counters_that_were_not_set_back():
    assert growth("xact_commit", [5.0, 7.0, 7.0, 9.0]) == 4.0
    assert growth("xact_commit", [5.0, 7.0, 1.0, 9.0]) is None
    assert growth("waiting_for_locks", [0.0, 37.0]) is None
