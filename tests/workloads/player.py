"""Plays sessions of the shop on a real database, outside of an engine.  Runs in a process of its own, because importing the
workloads patches the standard library for gevent, which pytest's process must be spared.

A test sends a script; names below are there for it, and what it gives to ``say`` is the test's answer, as JSON.
"""

import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any

from bench.workloads.shop import ShopperUser

# isort: split
# After the workloads, which have to be imported before psycopg.
from bench.db.catalogue import Catalogue, read_package
from bench.db.connection import connect
from bench.db.retry import Done, Retrier, RetryPolicy, Transaction
from bench.db.session import Effects, Session
from bench.load.user import Setup

REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")
RUN_TAG = "5ee0c0ffee01"
FAKE_NS = [0]
"""The cache's clock; a script turns it on."""


class Played(ShopperUser):
    """A shopper whose transactions are kept in lists."""

    abstract = True

    def __init__(self, stage: "Stage", region: str) -> None:
        # Without Locust's own: there is no environment.
        self.region, self.state = region, stage.state
        self.statements: list[str] = []
        self.transactions: list[tuple[str, str, str, int]] = []
        self.sent: dict[str, set[str]] = {}
        """Statements by transaction."""
        self.orders: list[Any] = []
        self.values: dict[str, Any] = {}
        self.session = stage.session(region, self)
        self._retrier = Retrier(self.session, RetryPolicy(budget_s=600.0), stage.effects, self)

    def transact(self, name: str, transaction: Transaction, rng: Random) -> Done:
        before = len(self.statements)
        done = self._retrier.run(transaction, rng)
        self.sent.setdefault(name, set()).update(self.statements[before:])
        self.transactions.append((name, done.outcome, done.kind, len(self.statements) - before))
        self.values[name] = done.value
        return done

    def statement(self, name: str, started_ns: int, ended_ns: int, ok: bool) -> None:
        if name != "CONNECT":
            self.statements.append(name)

    def attempt(self, *_: object) -> None:
        return None

    def retry(self, *_: object) -> None:
        return None

    def acknowledge(self, entry: Any) -> None:
        self.orders.append(entry)

    def contend(self, *_: object) -> None:
        return None

    @property
    def elapsed_s(self) -> float:
        return 0.0


class Nobody:
    def statement(self, *_: object) -> None:
        return None


class Stage:
    """A database with users of one class."""

    def __init__(self, url: str, user: type = Played, **settings: Any) -> None:
        self.url, self.user = url, user
        self.catalogue = Catalogue.load([read_package("bench.workloads", "sql")], "postgres")
        self.effects = Effects(time.perf_counter_ns, time.sleep)
        session = self.session(REGIONS[0], Nobody())
        self.state = user.prepare(Setup(session, REGIONS, settings, 1, RUN_TAG))
        session.drop()
        if getattr(self.state, "cache", None) is not None:
            self.state.cache.clock = lambda: FAKE_NS[0]
        self.users: dict[str, Any] = {}

    def session(self, region: str, observer: Any) -> Session:
        return Session(region, lambda: connect(self.url), self.catalogue, observer, self.effects)

    def at(self, region: str = "eu-west") -> Any:
        """The shopper of a region."""
        if region not in self.users:
            self.users[region] = self.user(self, region)
        return self.users[region]

    def play(self, name: str, seed: int, region: str = "eu-west") -> tuple[list[tuple[str, str, str, int]], int]:
        """Play a session; its transactions as (name, outcome, kind, statements), and the statements of all."""
        shopper = self.at(region)
        shopper.statements.clear()
        shopper.transactions.clear()
        getattr(shopper, shopper.sessions[name])(Random(seed))
        return list(shopper.transactions), len(shopper.statements)

    def close(self) -> None:
        for shopper in self.users.values():
            shopper.session.drop()


def say(value: object) -> None:
    print(json.dumps(value, default=str))


def main() -> None:
    script, url = sys.argv[1:]
    names: dict[str, Callable[..., Any] | Any] = {**globals(), "URL": url}
    exec(compile(script, "script", "exec"), names)


assert Counter
if __name__ == "__main__":
    main()
