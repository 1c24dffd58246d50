"""Every session of the shop on a real database: what it leaves behind, what it costs, and books that are right."""

from collections import Counter
from typing import Any

import psycopg
import pytest

from bench.audit.audit import run_audit
from bench.db.catalogue import Catalogue, read_package
from bench.metrics.recorder import DROPPED, UNFINISHED
from bench.results.read import Run

AUDIT = Catalogue.load([read_package("bench.audit", "sql")], "postgres")

MANY = """
import itertools
stage = Stage(URL, reserve_share=0.5, coupon_share=0.5, declined_share=0.3, wrong_password_share=0.2, taken_share=0.3)
found, cost = [], {}
for number, (session, region) in zip(range(320), itertools.cycle(itertools.product(Played.sessions, REGIONS))):
    transactions, statements = stage.play(session, number, region)
    found += [(session, *transaction) for transaction in transactions]
    cost.setdefault(session, []).append(statements)
stage.close()
sent = {}
for shopper in stage.users.values():
    for name, statements in shopper.sent.items():
        sent.setdefault(name, set()).update(statements)
sent = {name: sorted(statements) for name, statements in sent.items()}
say({"sent": sent, "found": found, "cost": cost, "sessions": list(Played.sessions), "declared": dict(Played.exchanges)})
"""
LATELY = "created_at > now() - interval '1 hour'"
JOBS = {
    *(
        "cancel",
        "refund",
        "fulfil",
        "receive",
        "reorder",
        "reprice",
        "cart_prices",
        "expire_carts",
        "moderate",
        "refresh_views",
        "reports",
    ),
}
"""Sessions whose length depends on how much work there is."""


@pytest.fixture(scope="module")
def played(shop: Any) -> dict[str, Any]:
    """What a few hundred sessions of all kinds from all regions did."""
    return shop.act(MANY)


def audited(url: str) -> list[str]:
    """The rules of the audit that are broken."""
    with psycopg.connect(url) as connection:

        def execute(name: str, values: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
            cursor = connection.execute(AUDIT[name].sql, values)
            return [column.name for column in cursor.description or ()], cursor.fetchall()

        return [f"{finding.rule}: {finding.detail}" for finding in run_audit(execute, None, None) if not finding.passed]


def test_every_session_ends_well(played: dict[str, Any]) -> None:
    assert {session for session, *_ in played["found"]} == set(played["sessions"])
    assert [row for row in played["found"] if row[3] == "failure"] == []


def test_every_transaction_succeeds_and_says_no_where_it_should(played: dict[str, Any]) -> None:
    seen = {(name, outcome) for _, name, outcome, _, _ in played["found"]}
    names = {name for name, _ in seen}
    assert {"home", "search", "category_page", "list_page", "product_page", "reviews_page", "write_review"} <= names
    assert {"view_cart", "merge_carts", "try_coupon", "checkout", "cancel", "refund", "expire_carts"} <= names
    assert {(name, "ok") for name in names} <= seen
    assert {("register", "email_taken"), ("register", "username_taken"), ("log_in", "wrong_password")} <= seen
    assert {("checkout", "payment_declined"), ("view_cart", "price_changed"), ("accept_prices", "ok")} <= seen


def test_the_books_are_right(shop: Any, played: dict[str, Any]) -> None:
    moved = f"SELECT movement_type FROM inventory_movements WHERE reference_type = 'cart' AND {LATELY}"
    assert Counter(shop.rows(moved)).keys() == {("reserved",), ("released",)}
    assert shop.value("SELECT count(*) FROM cart_items WHERE reserved") > 5
    assert audited(shop.url) == []


def test_a_held_line_that_vanishes_is_noticed(copy: Any) -> None:
    """The audit sees what a careless statement would do: the books above are not right for want of looking."""
    spoilt = copy()
    spoilt.act('stage = Stage(URL, reserve_share=1.0)\n[stage.play("change_mind", n) for n in range(9)]\nsay(0)')
    assert audited(spoilt.url) == []
    held = "SELECT cart_id FROM cart_items WHERE reserved AND added_at > now() - interval '1 hour' LIMIT 1"
    spoilt.rows(f"DELETE FROM shopping_carts WHERE id = ({held})")
    assert [text.split(":")[0] for text in audited(spoilt.url)] == ["reservations"]


def test_accounts_are_consistent(shop: Any, played: dict[str, Any]) -> None:
    new = shop.value("SELECT count(*) FROM users WHERE email LIKE 'shopper.%'")
    assert new == Counter((name, outcome) for _, name, outcome, _, _ in played["found"])["register", "ok"] > 5
    assert shop.value("SELECT bool_and(password_hash LIKE '$2b$10$%') FROM users")
    doubled = "SELECT user_id FROM user_addresses WHERE is_default GROUP BY user_id, address_type HAVING count(*) > 1"
    assert shop.rows(doubled) == []
    written = f"SELECT count(*), bool_and(is_verified) FROM product_reviews WHERE {LATELY}"
    count, are_verified = shop.rows(written)[0]
    assert count > 3
    assert are_verified


def test_what_a_session_costs_is_declared(played: dict[str, Any]) -> None:
    """The number of users is derived from it, so it may not be far off."""
    declared = played["declared"]
    measured = {session: sum(costs) / len(costs) for session, costs in played["cost"].items()}
    print({name: (round(mean, 1), declared[name]) for name, mean in measured.items()})
    assert set(measured) == set(declared)
    assert [name for name, mean in measured.items() if declared[name] * 1.5 < mean] == []
    # Too many users cost little; of jobs there is less to do here than in a big shop.
    assert [name for name, mean in measured.items() if declared[name] > mean * 1.5 and name not in JOBS] == []


CROWD = """
import itertools, random, threading
stage = Stage(URL, reserve_share=0.6, coupon_share=0.5, declined_share=0.2, hold_s=1)
names = ["fill_and_leave", "change_mind", "guest_checkout", "shop", "expire_carts", "cart_prices", "reprice", "cancel",
         "register", "log_in", "review", "moderate", "fulfil", "refund", "receive"]
shoppers = [Played(stage, region) for region in REGIONS for _ in range(2)]
def play(shopper, number):
    rng = random.Random(number)
    for _ in range(45):
        getattr(shopper, shopper.sessions[rng.choice(names)])(rng)
threads = [threading.Thread(target=play, args=pair) for pair in zip(shoppers, itertools.count())]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
found = Counter(f"{name} {outcome} {kind}" for s in shoppers for name, outcome, kind, _ in s.transactions)
say({"found": found, "threads": sum(len(s.transactions) > 60 for s in shoppers)})
"""


@pytest.mark.slow
def test_the_books_are_right_after_a_crowd(copy: Any) -> None:
    """Eight at once in two users' worth of carts a region, while carts that hold stock expire under their hands."""
    crowded = copy()
    told = crowded.act(CROWD)
    assert told["threads"] == 8
    assert [text for text in told["found"] if text.endswith("failure")] == []
    assert told["found"]["expire_carts ok ok"] > 3
    assert audited(crowded.url) == []


@pytest.mark.slow
def test_the_mixed_scenario_runs(bench: Any, tmp_path: Any) -> None:
    """The real command: everybody at work for some seconds, and no transaction that fails."""
    done = bench("run", "steady", "--scale", "tiny", "--duration", "8s", "--no-distance")
    assert done.returncode in (0, 4), done.stderr
    [store] = (tmp_path / "runs").glob("*/run.sqlite")
    with Run.open(store.parent) as run:
        assert all(finding.passed for finding in run.findings)
        failed = [c for c in run.cells if c.kind == "failure" and c.outcome not in (DROPPED, UNFINISHED)]
        names = {cell.name for cell in run.cells}
    assert failed == []
    assert {"home", "log_in", "view_cart", "checkout", "register"} <= names
