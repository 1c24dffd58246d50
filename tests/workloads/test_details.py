"""Transactions one by one: merged carts, prices that change, held lines, passwords, addresses, reviews, the cache."""

import warnings
from typing import Any

import pytest


def test_a_merge_adds_up_and_does_nothing_the_second_time(shop: Any) -> None:
    told = shop.act("""
        from bench.workloads import cart
        from bench.workloads.cart import add_line, merge_carts
        stage = Stage(URL)
        me, rng = stage.at(), Random(1)
        both, mine, theirs = stage.state.world.items[:3]
        shopper = stage.state.world.shoppers["eu-west"][0]
        s = me.session
        s.execute("create_cart", {"region": "eu-west", "user_id": shopper.id})
        own = cart.find_cart("eu-west", shopper.id)(s)
        guest = me.open_cart(None, rng, "cookie-1")
        def add(where, item, n, hold=0):
            assert me.transact("add", Transaction(add_line("eu-west", where, item, n, hold)), rng).kind == "ok"
        add(own, both, 2); add(own, mine, 1); add(guest, both, 3, 60); add(guest, theirs, 4)
        first = me.transact("merge", merge_carts("eu-west", "cookie-1", shopper.id), rng)
        again = me.transact("merge", merge_carts("eu-west", "cookie-1", shopper.id), rng)
        # A lost answer: looked up, it is the same cart.
        looked_up = merge_carts("eu-west", "cookie-1", shopper.id).resolve(s)
        say([own, guest, first.value, again.outcome, looked_up, [both.product_id, mine.product_id, theirs.product_id]])
    """)
    own, guest, merged, again, looked_up, items = told
    assert (merged, again, looked_up) == (own, "nothing_to_merge", own)
    lines = shop.rows("SELECT product_id::TEXT, quantity, reserved FROM cart_items WHERE cart_id = %s", own)
    assert sorted(lines) == sorted([(items[0], 5, False), (items[1], 1, False), (items[2], 4, False)])
    assert shop.rows("SELECT 1 FROM shopping_carts WHERE id = %s", guest) == []
    movements = "SELECT movement_type, quantity FROM inventory_movements WHERE reference_id = %s ORDER BY created_at"
    assert shop.rows(movements, guest) == [("reserved", 3), ("released", 3)]


def test_a_new_price_is_told_and_accepted(shop: Any) -> None:
    told = shop.act("""
        from bench.workloads.cart import add_line, view_cart
        stage = Stage(URL)
        me, rng = stage.at(), Random(2)
        item = next(item for item in stage.state.world.items if item.variant_id is None)
        where = me.open_cart(None, rng)
        add = lambda: me.transact("add", Transaction(add_line("eu-west", where, item, 1)), rng)
        add()
        before = me.read("view", view_cart("eu-west", where), rng)
        me.session.execute("set_product_price", {"product_id": item.product_id, "price": before.value[0][4] + 1})
        after = me.read("view", view_cart("eu-west", where), rng)
        me.look_at(where, rng)
        accepted = me.read("view", view_cart("eu-west", where), rng)
        say([(done.outcome, done.kind, done.value[0][3:5]) for done in (before, after, accepted)])
    """)
    (before, kind, (then, now)), (after, _, (old, new)), (accepted, _, prices) = told
    assert (before, kind, after, accepted) == ("ok", "ok", "price_changed", "ok")
    assert (then, float(new)) == (now, float(old) + 1)
    assert prices == [new, new]


def test_a_held_line_keeps_its_stock_in_step(shop: Any) -> None:
    told = shop.act("""
        from bench.workloads.cart import add_line, change_line, remove_line
        stage = Stage(URL)
        me, rng = stage.at(), Random(3)
        def left(item):
            where = {"region": "eu-west", "product_id": item.product_id, "variant_key": item.variant_key}
            return max(row[2] for row in me.session.execute("read_stock", where))
        item, other = [item for item in stage.state.world.items if left(item) > 9][:2]
        where = me.open_cart(None, rng)
        do = lambda it: me.transact("x", it if isinstance(it, Transaction) else Transaction(it), rng).outcome
        def held():
            found = me.session.execute("held_cart_items", {"region": "eu-west", "cart_id": where})
            return sorted(row[3] for row in found)
        seen = []
        for step in (
            add_line("eu-west", where, item, 2, 60),
            add_line("eu-west", where, other, 1, 60),
            add_line("eu-west", where, item, 1),
            change_line("eu-west", where, item, 7, 60),
            change_line("eu-west", where, item, 10**9, 60),
            remove_line("eu-west", where, other),
            remove_line("eu-west", where, other),
        ):
            seen.append((do(step), held()))
        me.session.execute("delete_cart", {"region": "eu-west", "cart_id": where})
        seen.append((do(add_line("eu-west", where, item, 1)), []))
        say([seen, where])
    """)
    seen, where = told
    assert seen == [
        ["ok", [2]],
        ["ok", [1, 2]],
        ["ok", [1, 3]],
        ["ok", [1, 7]],
        # Nobody has so many: the line stays in the cart and holds nothing.
        ["ok", [1]],
        ["ok", []],
        ["no_such_line", []],
        ["cart_gone", []],
    ]
    net = "SELECT sum(CASE movement_type WHEN 'reserved' THEN quantity ELSE -quantity END) FROM inventory_movements"
    assert shop.value(f"{net} WHERE reference_id = %s", where) == 0


def test_a_login_takes_the_right_password_and_no_other(shop: Any) -> None:
    told = shop.act("""
        from bench.workloads.account import log_in
        from bench.workloads.passwords import KNOWN, is_right
        stage = Stage(URL)
        me, rng = stage.at(), Random(4)
        us = stage.state.world.shoppers["us-west"][0]
        say([KNOWN, [me.read("log_in", log_in(*pair), rng).outcome for pair in (
            (us.email, us.password), (us.username, us.password), (us.email, us.password + "!"), (us.email, ""),
            ("nobody@example.com", us.password),
        )]])
    """)
    assert told[1] == ["ok", "ok", "wrong_password", "wrong_password", "unknown_user"]
    assert len(told[0]) == 8


def test_the_table_of_passwords_says_what_bcrypt_says(shop: Any) -> None:
    """Against the C library's bcrypt, by way of Python's ``crypt`` while there is one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        crypt = pytest.importorskip("crypt")
    known = shop.act("from bench.workloads.passwords import KNOWN; say(KNOWN)")
    if crypt.crypt("x", next(iter(known))) is None:
        pytest.skip("this C library has no bcrypt")
    assert [password for hashed, password in known.items() if crypt.crypt(password, hashed) != hashed] == []
    assert {row[0] for row in shop.rows("SELECT DISTINCT password_hash FROM users")} <= set(known)


def test_two_at_once_leave_one_default_address(shop: Any) -> None:
    told = shop.act("""
        import threading
        from bench.workloads.account import add_address, list_addresses, make_default
        stage = Stage(URL)
        me, rng = stage.at(), Random(5)
        user = stage.state.world.shoppers["eu-west"][1].id
        new = {"type": "shipping", "street": "s", "city": "c", "postal_code": "p", "country": "x", "is_default": False}
        ids = [me.transact("add", add_address("eu-west", user, new), rng).value for _ in range(4)]
        nobodys = make_default("eu-west", user, next(iter(stage.state.world.categories)))(me.session)
        others = [Played(stage, "eu-west") for _ in ids]
        def many(shopper, number):
            for turn in range(40):
                shopper.read("make_default", make_default("eu-west", user, ids[(number + turn) % 4]), Random(turn))
        threads = [threading.Thread(target=many, args=(shopper, number)) for number, shopper in enumerate(others)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        kinds = Counter(kind for shopper in others for _, _, kind, _ in shopper.transactions)
        say([user, nobodys.name, kinds])
    """)
    user, nobodys, kinds = told
    assert nobodys == "no_such_address"
    assert kinds == {"ok": 160}
    counts = "SELECT address_type, count(*) FILTER (WHERE is_default) FROM user_addresses WHERE user_id = %s GROUP BY 1"
    assert dict(shop.rows(counts, user))["shipping"] == 1


def test_a_review_is_written_once_and_only_by_a_buyer(shop: Any) -> None:
    told = shop.act("""
        from bench.workloads.account import write_review
        stage = Stage(URL)
        me, rng = stage.at(), Random(6)
        for shopper in stage.state.world.shoppers["eu-west"]:
            key = {"region": "eu-west", "user_id": shopper.id}
            done = {(row[1], row[0]) for row in me.session.execute("reviews_of_user", key)}
            new = [row for row in me.session.execute("delivered_items", key) if row not in done]
            if new:
                break
        write = lambda bought, who=shopper.id: me.transact("w", write_review("eu-west", who, bought, 5), rng).outcome
        stranger = stage.state.world.shoppers["eu-west"][-1].id
        assert stranger != shopper.id
        found = write_review("eu-west", shopper.id, new[0], 5).resolve
        before = found(me.session)
        outcomes = [write(new[0], stranger), write(new[0]), write(new[0]), write((new[0][0], shopper.id))]
        say([outcomes, before, found(me.session) == new[0][1]])
    """)
    assert told == [["already_reviewed", "ok", "already_reviewed", "already_reviewed"], None, True]


def test_coupons_say_why_not(shop: Any) -> None:
    told = shop.act(
        """
        from bench.workloads.cart import add_line, try_coupon
        stage = Stage(URL)
        me, rng = stage.at(), Random(7)
        where = me.open_cart(None, rng)
        user = stage.state.world.shoppers["eu-west"][2].id
        attempt = lambda code: me.read("t", try_coupon("eu-west", where, user, code), rng)
        empty = {attempt(code).outcome for code in stage.state.world.coupon_codes}
        for item in stage.state.world.items[:6]:
            me.transact("add", Transaction(add_line("eu-west", where, item, 20)), rng)
        full = [attempt(code) for code in stage.state.world.coupon_codes]
        say([empty, {done.outcome for done in full}, [str(done.value) for done in full if done.value], attempt("x").outcome])
    """.replace("[empty, {done", "[sorted(empty), {done").replace(
            "{done.outcome for done in full}", "sorted({done.outcome for done in full})"
        )
    )
    empty, full, discounts, unknown = told
    assert unknown == "coupon_unknown"
    assert "cart_empty" in empty
    assert {"ok", "coupon_expired", "coupon_exhausted"} <= set(full)
    assert discounts
    assert all(float(discount) >= 0 for discount in discounts)


def test_the_cache_gives_the_same_pages_with_fewer_statements(shop: Any) -> None:
    told = shop.act("""
        from bench.workloads.browse import home, product_page, reviews_page
        plain, cached = Stage(URL), Stage(URL, cache=True, cache_ttl=60)
        item = next(item for item in plain.state.world.items if item.variant_id)
        def pages(stage):
            me, found = stage.at(), []
            for name, body in (
                ("home", home("eu-west", me.cache)),
                ("product_page", product_page(item, "eu-west", me.cache)),
                ("reviews_page", reviews_page(item, "eu-west", me.cache, Random(2))),
            ):
                done = me.read(name, body, Random(1))
                found.append((done.outcome, repr(done.value), me.transactions[-1][3]))
            return found
        rounds = [pages(plain), pages(cached), pages(cached)]
        FAKE_NS[0] += 59_999_999_999
        rounds.append(pages(cached))
        FAKE_NS[0] += 2
        rounds.append(pages(cached))
        cache = cached.state.cache
        say([rounds, plain.state.cache, cache.hits, cache.misses])
    """)
    rounds, none, hits, misses = told
    assert none is None
    pages = [[row[:2] for row in page] for page in rounds]
    assert all(page == pages[0] for page in pages)
    assert [[row[2] for row in page] for page in rounds] == [[2, 3, 2], [2, 3, 2], [0, 1, 1], [0, 1, 1], [2, 3, 2]]
    assert (hits, misses) == (10, 10)


def test_the_cache_is_bounded_and_keeps_no_failure(shop: Any) -> None:
    told = shop.act("""
        from bench.workloads import cache
        kept = cache.Cache(10, lambda: 0)
        for number in range(cache.MAX_ENTRIES + 50):
            kept.get(number, lambda: number)
        def fails():
            raise KeyError("x")
        try:
            kept.get("failing", fails)
        except KeyError:
            pass
        say([len(kept._entries), cache.MAX_ENTRIES, kept.get("failing", lambda: 7), kept.get("failing", fails)])
    """)
    assert told == [told[1], told[1], 7, 7]
