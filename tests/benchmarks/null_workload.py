"""Users that keep the generator busy: transactions of ten statements, one after the other, against the null server."""

from random import Random
from typing import Any, ClassVar

from bench.db.retry import Transaction
from bench.db.session import Session
from bench.load.user import ShopUser

STATEMENTS = 10
"""Of a transaction, BEGIN and COMMIT among them."""


def read_often(session: Session) -> Any:
    for _ in range(STATEMENTS - 2):
        session.execute("world_items", {"count": 1})


class NullUser(ShopUser):
    """Plays the one session there is."""

    abstract = True
    sessions: ClassVar = {"work": "work"}

    def work(self, rng: Random) -> None:
        """One transaction."""
        self.transact("work", Transaction(read_often), rng)
