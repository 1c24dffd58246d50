"""Carts of users and guests: fill, change, view with prices of then and now, try a coupon, merge at login.

Outcomes that are a legitimate no: ``price_changed`` (the cart is shown, with a notice), ``cart_gone``, ``cart_empty``,
``no_such_line``, ``not_for_sale``, ``nothing_to_merge``, and a coupon's ``coupon_unknown``, ``coupon_expired``,
``coupon_exhausted``, ``coupon_used``, ``below_minimum``.
"""

from collections.abc import Mapping
from random import Random
from typing import Any, ClassVar
from uuid import UUID

from bench.db.retry import OK, Business, Outcome, Transaction
from bench.db.session import Rows, Session

from .browse import Body
from .checkout import CheckingOut
from .holding import hold_line, let_go
from .purchase import Line, amounts
from .world import Coupon, Item, Shopper

OLD_CART_SHARE = 0.5
"""Share of users who find the cart that they left before, rather than begin another."""


class Carting(CheckingOut):
    """Sessions around a cart."""

    abstract = True
    exchanges: ClassVar[Mapping[str, int]] = {"fill_and_leave": 14, "change_mind": 27, "guest_checkout": 38}

    # -- sessions

    def fill_and_leave(self, rng: Random) -> None:
        """Put one to three things in a cart, look at it, and go."""
        shopper = self.world.shopper(self.region, rng) if rng.random() < 0.6 else None
        cart_id = self.open_cart(shopper, rng)
        if cart_id is not None:
            self._fill(cart_id, rng, may_hold=shopper is None)
            self.look_at(cart_id, rng)

    def change_mind(self, rng: Random) -> None:
        """Fill a guest's cart, change quantities, try a coupon, take something out again."""
        cart_id = self.open_cart(None, rng)
        if cart_id is None:
            return
        items = self._fill(cart_id, rng, may_hold=True)
        self.look_at(cart_id, rng)
        self.change_quantity(cart_id, rng.choice(items), rng.choice((1, 2, 3)), rng)
        if rng.random() < 0.5:
            self.try_coupon(cart_id, self.world.shopper(self.region, rng), rng)
        self.remove(cart_id, rng.choice(items), rng)

    def guest_checkout(self, rng: Random) -> None:
        """Fill a cart as a guest, log in, which merges it with the user's, and buy what is in it."""
        cookie = f"guest-{rng.getrandbits(96):024x}"
        cart_id = self.open_cart(None, rng, cookie)
        if cart_id is None:
            return
        self._fill(cart_id, rng, may_hold=True)
        shopper = self.world.shopper(self.region, rng)
        merged = self.transact("merge_carts", merge_carts(self.region, cookie, shopper.id), rng)
        if merged.kind != OK:
            return
        if self.look_at(merged.value, rng):
            self.check_out(shopper, merged.value, rng)

    # -- steps

    def open_cart(self, shopper: Shopper | None, rng: Random, cookie: str | None = None) -> UUID | None:
        """Return the user's cart or a new one; None when that failed."""
        if shopper is not None and rng.random() < OLD_CART_SHARE:
            found = self.read("find_cart", find_cart(self.region, shopper.id), rng)
            if found.value:
                return found.value  # type: ignore[no-any-return]
        statement, who = ("create_guest_cart", {"session_id": cookie or f"guest-{rng.getrandbits(96):024x}"})
        if shopper is not None:
            statement, who = "create_cart", {"user_id": shopper.id}  # type: ignore[dict-item]
        params = {"region": self.region, **who}
        # A lost answer leaves an empty cart behind, which expires.
        done = self.read("open_cart", lambda session: session.execute(statement, params)[0][0], rng)
        return done.value if done.kind == OK else None

    def _fill(self, cart_id: UUID, rng: Random, *, may_hold: bool) -> list[Item]:
        """Find and add one to three things; a share of a guest's lines holds its stock.

        Only lines of guests: a guest's cart belongs to one session, so that nobody else buys or merges it meanwhile.
        """
        items = [self.world.popular_item(rng) for _ in range(rng.choice((1, 1, 2, 3)))]
        share = self.state.settings.reserve_share if may_hold else 0.0
        for item in items:
            if rng.random() < 0.5:
                self.view(item, rng)
            quantity = rng.choice((1, 1, 1, 2))
            hold_s = self.state.settings.hold_s if rng.random() < share else 0
            # Looking could not tell this line's units from those of another session of the same user.
            added = Transaction(add_line(self.region, cart_id, item, quantity, hold_s))
            self.transact("add_line", added, rng)
        return items

    def look_at(self, cart_id: UUID, rng: Random) -> Rows:
        """View the cart; a shopper who is told of new prices accepts them."""
        done = self.read("view_cart", view_cart(self.region, cart_id), rng)
        if done.outcome == "price_changed":
            where = {"region": self.region, "cart_id": cart_id}
            self.read("accept_prices", lambda session: len(session.execute("accept_prices", where)), rng)
        return done.value or []

    def change_quantity(self, cart_id: UUID, item: Item, quantity: int, rng: Random) -> None:
        """Want another number of something."""
        hold_s = self.state.settings.hold_s
        change = Transaction(change_line(self.region, cart_id, item, quantity, hold_s), repeatable=True)
        self.transact("change_quantity", change, rng)

    def remove(self, cart_id: UUID, item: Item, rng: Random) -> None:
        """Want something no more."""
        self.transact("remove_line", remove_line(self.region, cart_id, item), rng)

    def try_coupon(self, cart_id: UUID, shopper: Shopper, rng: Random) -> None:
        """Type a coupon's code, right or not, and see what it would give."""
        codes = self.world.coupon_codes
        code = rng.choice(codes) if codes and rng.random() < 0.9 else f"GUESS{rng.randrange(10**6)}"
        self.read("try_coupon", try_coupon(self.region, cart_id, shopper.id, code), rng)


def find_cart(region: str, user_id: UUID) -> Body:
    """The cart that a user left, or None."""

    def body(session: Session) -> UUID | None:
        found = session.execute("find_cart_of_user", {"region": region, "user_id": user_id})
        return found[0][0] if found else None

    return body


def add_line(region: str, cart_id: UUID, item: Item, quantity: int, hold_s: int = 0) -> Body:
    """Put an item in a cart with its price of now; with ``hold_s`` the line holds its stock for so many seconds.

    What cannot be held is added all the same.  Adding to a line that holds stock lets go first and holds it all again.
    """
    where = {"region": region, "cart_id": cart_id}
    params = {**where, "product_id": item.product_id, "variant_id": item.variant_id, "quantity": quantity}

    def body(session: Session) -> int:
        _touch(session, where)
        held = None
        rows = session.execute("add_cart_item", params)
        if not rows:
            held = let_go(session, region, cart_id, item)
            rows = session.execute("add_cart_item", params) if held else []
        if not rows:
            raise Business("not_for_sale")
        total: int = rows[0][1]
        if hold_s or held:
            hold_line(session, region, cart_id, item, total, hold_s)
        return total

    return body


def change_line(region: str, cart_id: UUID, item: Item, quantity: int, hold_s: int) -> Body:
    """Set a line's quantity; a line that held stock holds the new quantity, where there is enough."""
    where = {"region": region, "cart_id": cart_id}
    params = {**where, "product_id": item.product_id, "variant_key": item.variant_key, "quantity": quantity}

    def body(session: Session) -> int:
        _touch(session, where)
        if session.execute("set_cart_quantity", params):
            return quantity
        if not let_go(session, region, cart_id, item) or not session.execute("set_cart_quantity", params):
            raise Business("no_such_line")
        hold_line(session, region, cart_id, item, quantity, hold_s)
        return quantity

    return body


def remove_line(region: str, cart_id: UUID, item: Item) -> Transaction:
    """Return the transaction that takes a line out; what it held goes back on the shelf."""
    where = {"region": region, "cart_id": cart_id}
    params = {**where, "product_id": item.product_id, "variant_key": item.variant_key}

    def body(session: Session) -> bool:
        _touch(session, where)
        if session.execute("remove_cart_item", params):
            return True
        if not let_go(session, region, cart_id, item) or not session.execute("remove_cart_item", params):
            raise Business("no_such_line")
        return True

    def resolve(session: Session) -> bool | None:
        # It was there, else the answer would have been no_such_line, and no COMMIT sent.
        rows = session.execute("view_cart", where)
        return None if (item.product_id, item.variant_id) in {row[:2] for row in rows} else True

    return Transaction(body, resolve=resolve)


def _touch(session: Session, where: Mapping[str, Any]) -> None:
    if not session.execute("touch_cart", where):
        raise Business("cart_gone")


def view_cart(region: str, cart_id: UUID) -> Body:
    """The cart's lines; ``price_changed`` when a line costs other than when it was added."""

    def body(session: Session) -> Rows | Outcome:
        rows = session.execute("view_cart", {"region": region, "cart_id": cart_id})
        has_changed = any(row[3] != row[4] for row in rows)
        return Outcome("price_changed", rows) if has_changed else rows

    return body


def try_coupon(region: str, cart_id: UUID, user_id: UUID, code: str) -> Body:
    """What a coupon would take off the cart; nothing is written, its use is taken at checkout."""

    def body(session: Session) -> Any:
        found = session.execute("coupon_by_code", {"region": region, "code": code, "user_id": user_id})
        if not found:
            return Outcome("coupon_unknown")
        *fields, is_valid, is_left, is_used = found[0]
        coupon = Coupon(*fields)
        for is_so, outcome in (
            (is_valid, "coupon_expired"),
            (is_left, "coupon_exhausted"),
            (not is_used, "coupon_used"),
        ):
            if not is_so:
                return Outcome(outcome)
        rows = session.execute("view_cart", {"region": region, "cart_id": cart_id})
        cost = amounts([Line(*row) for row in rows], coupon)
        if not rows:
            return Outcome("cart_empty")
        return cost.discount if cost.subtotal >= coupon.minimum_amount else Outcome("below_minimum")

    return body


def merge_carts(region: str, cookie: str, user_id: UUID) -> Transaction:
    """Return the transaction that moves a guest's cart into the user's; its value is the user's cart.

    Quantities are added up, held stock of both goes back on the shelf, the guest's cart is removed: a second time there is
    nothing to merge.
    """

    def body(session: Session) -> UUID:
        guest = session.execute("find_cart_of_session", {"region": region, "session_id": cookie})
        if not guest:
            raise Business("nothing_to_merge")
        found = session.execute("find_cart_of_user", {"region": region, "user_id": user_id})
        into = found or session.execute("create_cart", {"region": region, "user_id": user_id})
        from_cart: UUID = guest[0][0]
        into_cart: UUID = into[0][0]
        # In one order for all, so that two logins do not wait for each other.
        both = sorted((from_cart, into_cart))
        for cart_id in both:
            _touch(session, {"region": region, "cart_id": cart_id})
        # Carts before stock, as everywhere.
        for cart_id in both:
            let_go(session, region, cart_id)
        session.execute("merge_cart_items", {"region": region, "from_cart": from_cart, "into_cart": into_cart})
        session.execute("delete_cart", {"region": region, "cart_id": from_cart})
        return into_cart

    def resolve(session: Session) -> UUID | None:
        # No guest's cart any more: it was this very merge, since nobody else knows the cookie.
        if session.execute("find_cart_of_session", {"region": region, "session_id": cookie}):
            return None
        found = session.execute("find_cart_of_user", {"region": region, "user_id": user_id})
        return found[0][0] if found else None

    return Transaction(body, resolve=resolve)
