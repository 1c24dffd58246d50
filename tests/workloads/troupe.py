"""Plays many users at once on a real database: the player's stage with isolation, distance and greenlets.

Run like the player, with a script and a URL, in a process of its own.
"""

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from random import Random
from typing import Any

import gevent
import player
from bench.workloads.back_office import BackOfficeUser
from bench.workloads.flash_sale import FlashSaleUser

from bench.audit.audit import run_audit
from bench.audit.journal import RunWindow
from bench.db.catalogue import Catalogue, read_package
from bench.db.connection import connect
from bench.db.session import Session

REGIONS = player.REGIONS
_RECORDING = ("__init__", "transact", "statement", "attempt", "retry", "acknowledge", "elapsed_s")


def played(user: type) -> type:
    """The user class with the player's way of recording."""
    members = {name: vars(player.Played)[name] for name in _RECORDING}
    return type(f"Played{user.__name__}", (user,), {**members, "contend": _contend, "abstract": True})


def _contend(self: Any, key: str, done: Any) -> None:
    self.wishes.append((key, "gave_up" if done is None else done.outcome))


class Troupe(player.Stage):
    """A database with any number of users of a region, who all play at once."""

    def __init__(self, url: str, user: type, isolation: str = "", distance_ms: float = 0.0, **settings: Any) -> None:
        self.options = [f"default_transaction_isolation={isolation}"] if isolation else []
        self.distance_ms = distance_ms
        super().__init__(url, played(user), **settings)
        self.cast: list[Any] = []

    def session(self, region: str, observer: Any) -> Session:
        away = 0.0 if isinstance(observer, player.Nobody) else self.distance_ms / 1000 * REGIONS.index(region)
        return Session(
            region, lambda: connect(self.url, options=self.options), self.catalogue, observer, self.effects, away
        )

    def another(self, region: str) -> Any:
        """A user of a region, with a connection of its own."""
        user = self.user(self, region)
        user.wishes = []
        self.cast.append(user)
        return user

    def crowd(self, users: int, sessions: int, choose: Callable[[Random], str], seed: int) -> None:
        """Let users of every region play so many sessions each, all at once."""

        def play(number: int) -> None:
            rng = Random(f"{seed}/{number}")
            user = self.another(REGIONS[number % len(REGIONS)])
            for _ in range(sessions):
                getattr(user, user.sessions[choose(rng)])(Random(rng.getrandbits(64)))
            user.session.drop()

        gevent.joinall([gevent.spawn(play, number) for number in range(users)], raise_error=True)

    @property
    def outcomes(self) -> dict[str, int]:
        """How often each transaction ended how: ``name: outcome``, and ``failures`` of whatever kind."""
        found: Counter[str] = Counter()
        for user in self.cast:
            for name, outcome, kind, _ in user.transactions:
                found[f"{name}: {outcome}"] += 1
                found["failures"] += kind == "failure"
        return dict(found)

    @property
    def wishes(self) -> list[tuple[str, str]]:
        return [wish for user in self.cast for wish in user.wishes]

    def stock(self) -> list[dict[str, Any]]:
        """What the sale says of itself, per item and region."""
        session = self.session(REGIONS[0], player.Nobody())
        rows = self.user.account(session, self.state, REGIONS)
        session.drop()
        return [asdict(row) for row in rows]

    def broken(self, since: Any = None) -> list[str]:
        """The rules of the audit that do not hold, the journal's among them where the time of the run's start is given."""
        catalogue = Catalogue.load([read_package("bench.audit", "sql")], "postgres")
        journal = [entry for user in self.cast for entry in user.orders]
        window = None if since is None else RunWindow(since=since, tag=player.RUN_TAG)
        with connect(self.url) as connection:
            # One snapshot for all rules.
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

            def execute(name: str, params: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
                cursor = connection.execute(catalogue[name].sql, params)
                return [column.name for column in cursor.description or ()], cursor.fetchall()

            findings = run_audit(execute, journal if window else None, window)
        return [f"{finding.rule}: {finding.detail}" for finding in findings if not finding.passed]


def main() -> None:
    script, url = sys.argv[1:]
    names = {**globals(), "URL": url, "say": player.say}
    exec(compile(script, "script", "exec"), names)


assert BackOfficeUser
assert FlashSaleUser
if __name__ == "__main__":
    main()
