"""COMMIT is carried out and never answered: what a shopper did is there once, or said to be unknown."""

from typing import Any


def test_nothing_is_done_twice_when_an_answer_is_lost(shop: Any) -> None:
    began = shop.value("SELECT now()")
    told = shop.act("""
        from pathlib import Path
        from psycopg.conninfo import conninfo_to_dict
        sys.path.insert(0, str(Path(sys.argv[0]).parents[2]))
        from tests.db.cutting import Proxy
        from bench.workloads.account import add_address
        from bench.workloads.cart import add_line, remove_line
        armed = []
        def cut(data):
            return b"COMMIT" in data and bool(armed) and armed.pop()
        place = conninfo_to_dict(URL)
        with Proxy("postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**place), cut) as proxy:
            stage = Stage(proxy.through)
            me, rng = stage.at(), Random(4)
            item, other = stage.state.world.items[:2]
            shopper = stage.state.world.shoppers["eu-west"][3]
            where = me.open_cart(None, rng)
            def units():
                return sorted(row[2] for row in me.session.execute("view_cart", {"region": "eu-west", "cart_id": where}))
            def lose(name, transaction):
                armed.append(True)
                done = me.transact(name, transaction, rng)
                assert not armed
                return [done.outcome, done.attempts]
            seen = [lose("add", Transaction(add_line("eu-west", where, item, 2)))]
            me.transact("add", Transaction(add_line("eu-west", where, other, 1)), rng)
            seen.append(units())
            seen += [lose("remove", remove_line("eu-west", where, item)), units()]
            new = {"type": "shipping", "street": "s", "city": "c", "postal_code": "p", "country": "x"}
            seen.append(lose("address", add_address("eu-west", shopper.id, {**new, "is_default": False})))
            armed.append(True)
            cart_id = me.fill_cart(shopper, {item: 1, other: 1}, rng)
            say([seen, me.transactions[-1][1:3], shopper.id, cart_id])
    """)
    seen, filled, user, cart_id = told
    assert seen == [["commit_unknown", 1], [1, 2], ["ok", 2], [1], ["ok", 2]]
    assert filled == ["ok", "ok"]
    (addresses,) = shop.rows("SELECT count(*) FROM user_addresses WHERE user_id = %s AND street_address = 's'", user)[0]
    assert addresses == 1
    mine = "SELECT id::TEXT FROM shopping_carts WHERE user_id = %s AND created_at > %s"
    assert shop.rows(mine, user, began) == [(cart_id,)]
