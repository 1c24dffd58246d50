"""The audit while load goes on: what was acknowledged before a snapshot is in it, and what is wrong once stays wrong."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal

import psycopg
import pytest
from tests_support import drop_database

from bench.audit.live import BATCH, LiveAudit, with_live
from bench.audit.rules import RULES
from bench.metrics.frame import Check
from bench.metrics.outcome import Finding
from tests.audit.shop import CATALOGUE, Bought, Shop, uid


class Clock:
    """Seconds since the start, set by the test."""

    now = 10.0

    def __call__(self) -> float:
        return self.now


def live(clock: Clock | None = None, **given) -> LiveAudit:
    return LiveAudit(clock or Clock(), lambda: None, **given)


def checked(audit: LiveAudit, shop: Shop) -> dict[str, Check]:
    audit.begin()
    return {check.rule: check for check in audit.check(shop.execute)}


def wrong(checks: Mapping[str, Check]) -> set[str]:
    return {rule for rule, check in checks.items() if not check.passed}


def test_every_rule_is_checked_and_timed(shop):
    audit = live()
    audit.take(shop.journal())
    checks = checked(audit, shop)
    assert set(checks) == {rule.name for rule in RULES} | {"journal_kept"}
    assert wrong(checks) == set()
    assert checks["journal_kept"].detail.startswith("5 orders acknowledged since the last audit")
    assert audit.broken == {}


def test_each_order_is_looked_for_once(shop):
    audit = live()
    audit.take(shop.journal())
    checked(audit, shop)
    assert checked(audit, shop)["journal_kept"].detail.startswith("0 orders")


def test_a_lost_order_and_a_changed_one_are_found(shop):
    audit = live()
    remote = shop.bought[1]
    audit.take([*shop.journal(), shop.entry(remote, order_id=uid("lost"), idempotency_key=uid("lost key"))])
    shop.set_order(shop.bought[0], order_number="ORD-other")
    check = checked(audit, shop)["journal_kept"]
    assert (check.passed, check.violations) == (False, 2)
    faults = {row["order_id"]: row["fault"] for row in audit.broken["journal_kept"].witness}
    assert "missing" in faults[uid("lost")]
    assert "number ORD-other" in faults[shop.bought[0].id]


def test_an_order_without_an_acknowledgement_is_no_fault(shop):
    audit = live()
    audit.take(shop.journal())
    shop.order("late", "us-east", ("lamp", "us-east", 1))
    assert wrong(checked(audit, shop)) == set()


def test_an_acknowledgement_younger_than_the_snapshot_waits(shop):
    """On CockroachDB the snapshot is of a moment ago: what came since cannot be in it."""
    clock = Clock()
    audit = live(clock, delay_s=6.0)
    lost = shop.entry(shop.bought[1], order_id=uid("lost"), elapsed_s=4.5)
    audit.take([lost])
    assert wrong(checked(audit, shop)) == set()
    clock.now = 10.5
    assert wrong(checked(audit, shop)) == {"journal_kept"}


def test_what_an_audit_that_was_cut_off_did_not_reach_is_looked_for_by_the_next(shop):
    audit = live()
    audit.take([shop.entry(shop.bought[1], order_id=uid("lost"))])
    audit.begin()
    next(iter(audit.check(shop.execute)))
    assert wrong(checked(audit, shop)) == {"journal_kept"}


def test_many_orders_are_looked_up_a_few_at_a_time_with_a_breath_between(shop):
    breaths, asked = [], []
    audit = LiveAudit(Clock(), lambda: breaths.append(len(asked)), rules=())
    entry = shop.entry(shop.bought[0])
    audit.take([shop.entry(shop.bought[0], order_id=uid(f"n{number}")) for number in range(2 * BATCH + 1)])
    audit.take([entry])

    def execute(name: str, values: Mapping[str, object]) -> tuple[list[str], list[tuple]]:
        asked.append(len(values["ids"]))
        return shop.execute(name, values)

    audit.begin()
    checks = list(audit.check(execute))
    assert asked == [BATCH, BATCH, 2]
    assert breaths == [0, 1, 2]
    assert checks[0].violations == 2 * BATCH + 1


def test_the_first_finding_of_a_rule_is_kept_with_its_time_even_when_it_is_healed(shop):
    clock = Clock()
    audit = live(clock)
    shop.set_order(shop.bought[1], tax_amount=Decimal("1.59"))
    assert wrong(checked(audit, shop)) == {"order_totals"}
    clock.now = 20.0
    assert wrong(checked(audit, shop)) == {"order_totals"}
    shop.set_order(shop.bought[1], tax_amount=Decimal("1.60"))
    assert wrong(checked(audit, shop)) == set()
    assert audit.broken["order_totals"].detail.startswith("at 10.0 s: 1 orders; the first, ORD-remote")
    final = (Finding("order_totals", "every order adds up", True, 0), Finding("payment", "p", True, 0))
    merged = with_live(final, audit.broken.values())
    assert [(finding.rule, finding.passed) for finding in merged] == [
        ("order_totals", True),
        ("payment", True),
        ("order_totals_live", False),
    ]
    assert merged[-1].title == "every order adds up (during the run)"
    assert merged[-1].witness[0]["order_number"] == "ORD-remote"


def test_what_the_audit_after_the_run_finds_too_is_not_said_twice():
    broken = [Finding("oversold", "t", False, 2)]
    assert with_live(broken, broken) == tuple(broken)


@contextmanager
def snapshot(connection: psycopg.Connection) -> Iterator[Callable[[str, Mapping], tuple[list[str], list[tuple]]]]:
    def execute(name: str, values: Mapping[str, object]) -> tuple[list[str], list[tuple]]:
        cursor = connection.execute(CATALOGUE[name].sql, values)
        return [column.name for column in cursor.description], cursor.fetchall()

    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    yield execute
    connection.execute("COMMIT")


@pytest.mark.parametrize("too_late", [False, True])
def test_a_moving_journal_is_compared_soundly(shop_url, pg_url, too_late):
    """Orders are placed and acknowledged while audits go on: none is missed.

    Were the orders settled after the snapshot had begun, some of them would be: that is what makes this test one.
    """
    name = f"test_live_{uid(str(too_late))[:8]}"
    template = psycopg.conninfo.conninfo_to_dict(shop_url("pg"))["dbname"]
    with psycopg.connect(pg_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    url = psycopg.conninfo.make_conninfo(pg_url, dbname=name)
    audit, stop = LiveAudit(lambda: 10.0, lambda: None), threading.Event()
    told = [0]

    def sell() -> None:
        with psycopg.connect(url) as connection:
            shop = Shop(connection).open()
            number = 0
            while not stop.is_set():
                number += 1
                shop.move("lamp", "us-east", "in", 1, available=1, reference=("purchase", None, None))
                bought: Bought = shop.order(f"n{number}", "us-east", ("lamp", "us-east", 1))
                connection.commit()
                audit.take([shop.entry(bought)])
                told[0] += 1

    seller = threading.Thread(target=sell)
    seller.start()
    found: set[str] = set()
    looked = 0
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            while looked < 300 and not (too_late and found):
                assert seller.is_alive()
                if not too_late:
                    audit.begin()
                with snapshot(connection) as execute:
                    if too_late:
                        execute("audit_regions", {})
                        # The first order from here on may have been committed before the snapshot, the second was not.
                        until = told[0] + 2
                        while told[0] < until:
                            assert seller.is_alive()
                            time.sleep(0.001)
                        audit.begin()
                    for check in audit.check(execute):
                        found |= set() if check.passed else {check.rule}
                        looked += int(check.detail.split()[0]) if check.rule == "journal_kept" else 0
    finally:
        stop.set()
        seller.join()
        with psycopg.connect(pg_url, autocommit=True) as admin:
            drop_database(admin, name)
    assert found == ({"journal_kept"} if too_late else set())
