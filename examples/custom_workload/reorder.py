"""Shoppers who look at their last order and put it into a new cart: one read, and one transaction of two writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from bench.db.retry import Business, Transaction
from bench.db.session import Session
from bench.load.user import Setup, ShopUser


class Settings(BaseModel):
    """``[workload.settings]`` of the scenario; a fault is reported before anything runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    buyers: int = Field(default=500, ge=1)
    """How many of each region's latest buyers come back."""


@dataclass(frozen=True, slots=True)
class State:
    """What all users of a run share; read once, before the first arrival."""

    buyers: Mapping[str, tuple[UUID, ...]]


class ReorderUser(ShopUser):
    """Plays two kinds of sessions; the scenario says how many of each come a second."""

    abstract = True
    sessions: ClassVar = {"look": "look", "reorder": "reorder"}
    exchanges: ClassVar[Mapping[str, int]] = {"look": 1, "reorder": 5}
    statement_folders: ClassVar = (*ShopUser.statement_folders, ("custom_workload", "sql"))
    settings_model = Settings
    state: State

    @classmethod
    def prepare(cls, setup: Setup) -> State:
        """Read who has bought before.  Whatever is written here must be written only where ``setup.writes``."""
        settings = Settings.model_validate(setup.settings)
        found = {region: cls._buyers(setup.session, region, settings.buyers) for region in setup.regions}
        return State(found)

    @staticmethod
    def _buyers(session: Session, region: str, count: int) -> tuple[UUID, ...]:
        return tuple(user_id for (user_id,) in session.execute("recent_buyers", {"region": region, "count": count}))

    def look(self, rng: Random) -> None:
        """Look at the last order: one statement, which needs no BEGIN."""
        self._last_order(rng.choice(self.state.buyers[self.region]), rng)

    def reorder(self, rng: Random) -> None:
        """Put the last order into a new cart.  Draw from ``rng`` before the transaction: a retry must not draw anew."""
        user_id = rng.choice(self.state.buyers[self.region])
        order_id = self._last_order(user_id, rng)
        if order_id is not None:
            self.transact("reorder", buy_again(self.region, user_id, order_id), rng)

    def _last_order(self, user_id: UUID, rng: Random) -> UUID | None:
        where = {"region": self.region, "user_id": user_id}
        read = Transaction(lambda session: session.execute("last_order", where), explicit=False, repeatable=True)
        done = self.transact("last_order", read, rng)
        return done.value[0][0] if done.value else None


def buy_again(region: str, user_id: UUID, order_id: UUID) -> Transaction:
    """Return the transaction; the engine repeats its body whole, with the same inputs, after a conflict."""
    carts: list[UUID] = []  # one of each attempt

    def body(session: Session) -> int:
        cart_id: UUID = session.execute("open_reorder_cart", {"region": region, "user_id": user_id})[0][0]
        carts.append(cart_id)
        lines = session.execute("copy_order_lines", {"region": region, "order_id": order_id, "cart_id": cart_id})
        if not lines:
            # Nothing of it is sold any more: undone, and counted as a business outcome, which is no failure.
            raise Business("no_longer_sold")
        return len(lines)

    def resolve(session: Session) -> int | None:
        """Look up, after a lost answer to COMMIT, whether it happened: else there would be a second cart."""
        counts = [
            session.execute("count_cart_lines", {"region": region, "cart_id": cart_id})[0][0] for cart_id in carts
        ]
        return next((count for count in counts if count), None)

    return Transaction(body, resolve=resolve)
