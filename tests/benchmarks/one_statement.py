"""The smallest user there is: one session of one transaction of one statement, a look-up by a unique key."""

from dataclasses import dataclass
from random import Random
from typing import ClassVar

from bench.db.retry import Transaction
from bench.load.user import Setup, ShopUser


@dataclass(frozen=True, slots=True)
class State:
    """What may be looked up."""

    slugs: tuple[str, ...]


class OneStatementUser(ShopUser):
    """Looks up one product."""

    abstract = True
    sessions: ClassVar = {"look": "look"}
    exchanges: ClassVar = {"look": 1}
    state: State

    @classmethod
    def prepare(cls, setup: Setup) -> State:
        """Read what the products are called in URLs."""
        return State(tuple(row[4] for row in setup.session.execute("world_items", {"count": 500})))

    def look(self, rng: Random) -> None:
        """One statement."""
        params = {"slug": rng.choice(self.state.slugs)}
        self.transact("look", Transaction(lambda session: session.execute("product_page", params), explicit=False), rng)
