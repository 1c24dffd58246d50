"""The journal against real orders: what was acknowledged is there, and what is there was acknowledged."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from bench.audit import audit
from bench.audit.audit import run_audit
from bench.audit.journal import RunWindow
from bench.metrics.frame import Taken
from tests.audit.shop import START, TAG, Shop, key, uid

RUN = RunWindow(START, TAG)
NOBODY = uid("nobody")


def compare(shop: Shop, journal, run: RunWindow = RUN):
    findings = run_audit(shop.execute, journal, run)
    assert [finding.rule for finding in findings if not finding.passed and not finding.rule.startswith("journal")] == []
    kept, complete = findings[-2:]
    assert (kept.rule, complete.rule) == ("journal_kept", "journal_complete")
    return kept, complete


def test_a_journal_that_is_the_orders_passes(shop):
    kept, complete = compare(shop, shop.journal())
    assert kept.passed
    assert complete.passed
    assert kept.detail == "5 acknowledged: 0 missing, 0 faults in the others"
    assert complete.detail == "5 orders of the run, 0 unacknowledged"


def test_without_a_journal_or_a_run_there_is_nothing_to_compare(shop):
    assert len(run_audit(shop.execute, None, RUN)) == len(run_audit(shop.execute, [], None))
    assert "journal_kept" not in {finding.rule for finding in run_audit(shop.execute, None, RUN)}


@pytest.mark.parametrize("size", [1, 2, 5, 6])
def test_pages_and_batches_add_up(shop, monkeypatch, size):
    monkeypatch.setattr(audit, "PAGE", size)
    monkeypatch.setattr(audit, "BATCH", size)
    kept, complete = compare(shop, shop.journal())
    assert (kept.passed, complete.detail) == (True, "5 orders of the run, 0 unacknowledged")


def test_orders_of_the_seed_and_of_another_run_are_not_the_runs(shop):
    journal = shop.journal()[2:]
    shop.set_order(shop.bought[0], idempotency_key=uid("another run"))
    shop.set_order(shop.bought[1], created_at=START - timedelta(days=1))
    kept, complete = compare(shop, journal)
    assert (kept.passed, complete.passed) == (True, True)
    assert complete.detail == "3 orders of the run, 0 unacknowledged"


def test_an_acknowledged_order_that_is_missing(shop):
    lost = shop.journal()[0]._replace(order_id=NOBODY, idempotency_key=key("nobody"), order_number="ORD-lost")
    kept, complete = compare(shop, [*shop.journal(), lost])
    assert complete.passed
    assert kept.violations == 1
    assert kept.witness[0]["order_id"] == NOBODY
    assert kept.witness[0]["fault"] == "acknowledged at 3.0 s and missing"
    assert kept.detail == "6 acknowledged: 1 missing, 0 faults in the others"
    assert shop.sql(kept.look) == []


def test_an_acknowledged_order_is_looked_up_by_its_id_before_it_is_called_missing(shop):
    """Its time is the server's: a clock that is behind must not lose it."""
    journal = shop.journal()
    shop.set_order(shop.bought[0], created_at=START - timedelta(minutes=1))
    kept, complete = compare(shop, journal)
    assert (kept.passed, complete.passed) == (True, True)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"order_number": "ORD-1"}, "number ORD-confirmed, acknowledged ORD-1"),
        ({"total_amount": "60.29"}, "total 60.30, acknowledged 60.29"),
        ({"status": "shipped"}, "status confirmed, acknowledged shipped"),
        ({"status": "cancelled"}, "status confirmed, acknowledged cancelled"),
        ({"region": "eu-west"}, "region us-east, acknowledged eu-west"),
        ({"idempotency_key": NOBODY}, f"key {key('confirmed')}, acknowledged {NOBODY}"),
    ],
)
def test_an_order_that_is_not_as_acknowledged(shop, changes, fault):
    journal = shop.journal()
    journal[0] = journal[0]._replace(**changes)
    kept, complete = compare(shop, journal)
    assert complete.passed
    assert [row["fault"] for row in kept.witness] == [fault]
    assert kept.witness[0]["order_id"] == shop.bought[0].id


@pytest.mark.parametrize("total", ["60.3", "60.300", "60.30"])
def test_a_total_is_a_number_and_not_a_text(shop, total):
    journal = shop.journal()
    journal[0] = journal[0]._replace(total_amount=total)
    assert compare(shop, journal)[0].passed


LAMPS = Taken(uid("lamp"), None, "us-east", 2)
SHIRT = Taken(uid("shirt"), uid("shirt-m"), "us-east", 1)


@pytest.mark.parametrize(
    "taken",
    [
        (),
        (LAMPS,),
        (LAMPS, SHIRT._replace(units=2)),
        (LAMPS, SHIRT._replace(variant_id=None)),
        (LAMPS._replace(warehouse_region="eu-west"), SHIRT),
        (LAMPS, SHIRT, SHIRT),
    ],
)
def test_lines_that_are_not_as_acknowledged(shop, taken):
    journal = shop.journal()
    journal[0] = journal[0]._replace(taken=taken)
    kept, _ = compare(shop, journal)
    assert kept.violations == 1
    # In the order of their text, whichever way the server has joined them: the shirt's UUID is the lesser one.
    assert kept.witness[0]["fault"].startswith(f"lines {uid('shirt')}/")
    assert f" {uid('lamp')}//us-east/2, acknowledged " in kept.witness[0]["fault"]


@pytest.mark.parametrize("taken", [(SHIRT, LAMPS), (LAMPS._replace(units=1), SHIRT, LAMPS._replace(units=1))])
def test_lines_in_another_order_or_split_are_the_same(shop, taken):
    journal = shop.journal()
    journal[0] = journal[0]._replace(taken=taken)
    assert compare(shop, journal)[0].passed


def test_a_declined_order_took_nothing_in_the_end_but_keeps_its_lines(shop):
    journal = shop.journal()
    assert journal[3].status == "cancelled"
    journal[3] = journal[3]._replace(taken=())
    assert compare(shop, journal)[0].passed


def test_a_second_order_for_an_acknowledged_key(shop):
    """The fault of a client that repeats an ambiguous commit in another region."""
    again = shop.order("again", "eu-west", ("lamp", "eu-west", 1))
    shop.bought.pop()
    shop.set_order(again, idempotency_key=shop.bought[0].key)
    findings = {finding.rule: finding for finding in run_audit(shop.execute, shop.journal(), RUN) if not finding.passed}
    assert set(findings) == {"idempotency_keys", "journal_kept"}
    [row] = findings["journal_kept"].witness
    assert (row["order_id"], row["fault"]) == (again.id, f"a second order for the key of {shop.bought[0].id}")
    assert len(shop.sql(findings["journal_kept"].look)) == 2


def test_an_order_that_nobody_was_told_of(shop):
    kept, complete = compare(shop, shop.journal()[1:])
    assert kept.passed
    assert complete.violations == 1
    assert complete.witness[0]["order_number"] == "ORD-confirmed"
    assert complete.detail == "5 orders of the run, 1 unacknowledged"
    assert shop.sql(complete.look)[0][2] == "ORD-confirmed"


def created(shop: Shop, number: int):
    return shop.sql("SELECT created_at FROM orders WHERE id = %s", shop.bought[number].id)[0][0]


def cut_short(shop: Shop, since_s: float) -> RunWindow:
    return replace(RUN, journalled_until=created(shop, 4) + timedelta(seconds=since_s), in_flight=timedelta(seconds=2))


def target_lost(shop: Shop, since_s: float) -> RunWindow:
    return replace(RUN, lost=(created(shop, 4) + timedelta(seconds=since_s),), in_flight=timedelta(seconds=2))


@pytest.mark.parametrize(
    ("window", "since_s", "is_explained"),
    [
        (cut_short, -60, True),
        (cut_short, 2, True),
        (cut_short, 2.001, False),
        (target_lost, -0.001, False),
        (target_lost, 0, True),
        (target_lost, 2, True),
        (target_lost, 2.001, False),
    ],
)
def test_an_order_under_way_when_the_run_was_cut_short_is_explained(
    shop, window: Callable[[Shop, float], RunWindow], since_s, is_explained
):
    kept, complete = compare(shop, shop.journal()[:4], window(shop, since_s))
    assert kept.passed
    assert complete.passed is is_explained
    told = "; 1 more were under way when the run or its target was lost" if is_explained else ""
    assert complete.detail == f"5 orders of the run, {0 if is_explained else 1} unacknowledged{told}"


def test_being_cut_short_explains_no_order_that_was_acknowledged_and_is_wrong(shop):
    journal = shop.journal()
    journal[4] = journal[4]._replace(total_amount="1.00")
    kept, _ = compare(shop, journal, cut_short(shop, -60))
    assert kept.violations == 1
