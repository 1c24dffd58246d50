"""The smallest user there is: one session of one transaction of one statement, a look-up by primary key."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar
from uuid import UUID

from bench.db.retry import Transaction
from bench.load.user import Setup, ShopUser


@dataclass(frozen=True, slots=True)
class State:
    """What may be looked up."""

    products: tuple[UUID, ...]


class OneStatementUser(ShopUser):
    """Looks up one product."""

    abstract = True
    sessions: ClassVar = {"look": "look"}
    exchanges: ClassVar = {"look": 1}
    state: State

    @classmethod
    def prepare(cls, setup: Setup) -> State:
        """Read the products' ids."""
        return State(tuple(row[0] for row in setup.session.execute("world_items", {"count": 500})))

    def look(self, rng: Random) -> None:
        """One statement."""
        params = {"product_id": rng.choice(self.state.products)}
        self.transact("look", Transaction(lambda session: session.execute("product_page", params), explicit=False), rng)
