"""Sessions that end in an order: the cart filled, viewed and bought."""

from collections.abc import Mapping
from random import Random
from uuid import UUID

from bench.db.retry import OK, Done, Transaction
from bench.db.session import Session
from bench.metrics.frame import JournalEntry

from .browse import Browsing
from .ordering import Intent, Line, Placed, checkout
from .world import Item, Shopper


def idempotency_key(rng: Random, run_tag: str) -> UUID:
    """Return a random key that ends with the run's twelve hex digits.

    Random first digits spread the keys over the index; the tag at the end lets the audit find the run's orders.
    """
    return UUID(int=rng.getrandbits(80) << 48 | int(run_tag, 16))


class CheckingOut(Browsing):
    """Sessions that end in an order."""

    abstract = True

    def fill_cart(self, shopper: Shopper, wanted: Mapping[Item, int], rng: Random) -> UUID | None:
        """Put items into a new cart and return it, or None when that failed."""
        carts: list[UUID] = []  # one of each attempt

        def body(session: Session) -> UUID:
            cart_id: UUID = session.execute("create_cart", {"region": self.region, "user_id": shopper.id})[0][0]
            carts.append(cart_id)
            for item, quantity in wanted.items():
                params = {"region": self.region, "cart_id": cart_id, "product_id": item.product_id}
                session.execute("add_cart_item", {**params, "variant_id": item.variant_id, "quantity": quantity})
            return cart_id

        def resolve(session: Session) -> UUID | None:
            for cart_id in carts:
                if session.execute("view_cart", {"region": self.region, "cart_id": cart_id}):
                    return cart_id
            return None

        done = self.transact("add_to_cart", Transaction(body, resolve=resolve), rng)
        return done.value if done.kind == OK else None

    def check_out(self, shopper: Shopper, cart_id: UUID, rng: Random) -> Done | None:
        """View the cart and buy it; the order goes into the journal once the server has acknowledged it."""
        where = {"region": self.region, "cart_id": cart_id}
        seen = self.read("view_cart", lambda session: session.execute("view_cart", where), rng)
        if not seen.value:
            return None
        intent = self._intent(shopper, cart_id, tuple(map(Line._make, seen.value)), rng)
        pipelined = getattr(self.state.settings, "pipeline", False)
        done = self.transact("checkout", checkout(intent, self.state.strategy, pipelined=pipelined), rng)
        if isinstance(done.value, Placed):
            self._journal(intent, done.value, done.attempts)
        return done

    def _intent(self, shopper: Shopper, cart_id: UUID, lines: tuple[Line, ...], rng: Random) -> Intent:
        settings = self.state.settings
        coupons = self.world.coupons[self.region]
        return Intent(
            shopper=shopper,
            region=self.region,
            cart_id=cart_id,
            lines=lines,
            key=idempotency_key(rng, self.state.run_tag),
            coupon=rng.choice(coupons) if coupons and rng.random() < settings.coupon_share else None,
            is_declined=rng.random() < settings.declined_share,
            regions=(self.region, *self.world.distances[self.region]),
        )

    def _journal(self, intent: Intent, placed: Placed, attempts: int) -> None:
        self.acknowledge(
            JournalEntry(
                region=intent.region,
                order_id=str(placed.order_id),
                order_number=placed.order_number,
                idempotency_key=str(intent.key),
                total_amount=str(placed.total),
                status=placed.status,
                attempts=attempts,
                elapsed_s=self.elapsed_s,
                taken=placed.taken,
            )
        )
