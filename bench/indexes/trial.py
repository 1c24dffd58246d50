"""Statements timed with and without an index, in place: in the middle of a session, with its values, from its state.

Both sides of a comparison begin at one savepoint and are warmed up, and their order alternates.  Of the
repetitions of a side the shortest is taken: what comes from outside only ever makes a statement longer.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from statistics import mean
from typing import Literal

from bench.db.catalogue import Catalogue
from bench.db.connection import DriverError
from bench.db.ddl import Dialect
from bench.db.indexing import IndexFacts, IndexLab
from bench.db.rehearsal import Enough, Params, Rehearsal, Visit
from bench.indexes.plans import Plan, read_plan
from bench.indexes.survey import Play
from bench.stats.indexing import Observation

ROUNDS = 2
EXCHANGES = 4
"""Exchanges timed by side and round."""
EXCHANGE_MS = 1.0
"""About how long an exchange is to take: short statements are repeated in it."""
MOST_COPIES = 20
WARMING = 2
VISITS = 2
"""Of one statement in one play."""

Side = Literal["with", "without"]
SIDES: tuple[Side, Side] = ("with", "without")


@dataclass(frozen=True, slots=True)
class Look:
    """What one execution read and wrote, beside its plan; ``hot_share`` of the rows updated needed no index entry."""

    plan: Plan
    hot_share: float | None


@dataclass(slots=True)
class Bench:
    """What every trial needs to know of the database."""

    dialect: Dialect
    lab: IndexLab
    catalogue: Catalogue
    parts: Mapping[str, str]

    def look(self, session: Rehearsal, name: str, params: Params) -> Look:
        """Carry out a statement once under EXPLAIN ANALYZE, and undo it."""
        counts = "updates_so_far" in self.catalogue
        with session.savepoint("trial"):
            before = self._updates(session) if counts else (0, 0)
            plan = read_plan(self.lab.plan_form, session.explained(self.lab.analyze, name, params), self.parts)
            after = self._updates(session) if counts else (0, 0)
        updated, hot = after[0] - before[0], after[1] - before[1]
        return Look(plan, hot / updated if updated else None)

    def _updates(self, session: Rehearsal) -> tuple[int, int]:
        [row] = session.require_connection().execute(self.catalogue["updates_so_far"].sql).fetchall()
        return int(row[0]), int(row[1])


@dataclass(slots=True)
class Trial:
    """The record of one index: times by statement and play, looks by statement and side."""

    index: IndexFacts
    statements: frozenset[str]
    apart: Sequence[IndexFacts] = ()
    """Indexes that are taken away on both sides: they would stand in for this one."""
    times: dict[tuple[str, Play], list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    looks: dict[tuple[str, Side], list[Look]] = field(default_factory=lambda: defaultdict(list))
    refused: Counter[str] = field(default_factory=Counter)
    copies: dict[str, int] = field(default_factory=dict)
    """How often a statement is repeated in one exchange: the same on both sides, for each repetition shares its costs."""

    def observations(self, statement: str, region: str | None = None) -> list[Observation]:
        """Return the observations of a statement, one for each play."""
        return [
            Observation(name, play.region, mean(w for w, _ in pairs), mean(wo for _, wo in pairs))
            for (name, play), pairs in self.times.items()
            if name == statement and region in (None, play.region) and pairs
        ]


def until_seen(visit: Visit, wanted: Mapping[str, int]) -> Visit:
    """Return a visitor that ends the play that has seen each statement as often as it comes, or as is looked at."""
    missing = {name: min(VISITS, count) for name, count in wanted.items()}

    def counted(session: Rehearsal, name: str, params: Params) -> None:
        visit(session, name, params)
        if missing.get(name, 0) > 0:
            missing[name] -= 1
            if not any(missing.values()):
                raise Enough

    return counted


def side_by_side(trial: Trial, bench: Bench, play: Play) -> Visit:
    """Return a visitor that hides the index in place, by a savepoint, and times both sides at each visit."""
    visits: Counter[str] = Counter()

    def visit(session: Rehearsal, name: str, params: Params) -> None:
        if name not in trial.statements or visits[name] >= VISITS:
            return
        visits[name] += 1
        found: dict[Side, list[float]] = {"with": [], "without": []}
        try:
            for number in range(ROUNDS):
                turn = (number + visits[name] + play.seed) % 2
                for side in (SIDES[turn], SIDES[1 - turn]):
                    with session.savepoint("arm"):
                        _arrange(session, trial, bench, side)
                        found[side] += _timed(trial, bench, side, (session, name, params), look=number == 0)
        except DriverError:
            trial.refused[name] += 1
            return
        trial.times[name, play].append((min(found["with"]), min(found["without"])))

    return visit


def _arrange(session: Rehearsal, trial: Trial, bench: Bench, side: Side) -> None:
    connection = session.require_connection()
    for other in trial.apart:
        bench.lab.hide(connection, other)
    if side == "without":
        bench.lab.hide(connection, trial.index)
    else:
        bench.lab.show(connection)


Sent = tuple[Rehearsal, str, Params]


def _timed(trial: Trial, bench: Bench, side: Side, sent: Sent, *, look: bool) -> list[float]:
    session, name, params = sent
    apart = f"{trial.index.name} {side}"
    warm_ms = min(session.timed_ms(name, params, 1, apart) for _ in range(WARMING))
    if look:
        trial.looks[name, side].append(bench.look(session, name, params))
    copies = trial.copies.setdefault(name, min(MOST_COPIES, max(1, round(EXCHANGE_MS / warm_ms))))
    return [session.timed_ms(name, params, copies, apart) for _ in range(EXCHANGES)]


@dataclass(slots=True)
class OneSide:
    """Times of one side, kept until the other side of the same play has been timed."""

    trial: Trial
    bench: Bench
    side: Side
    times: dict[tuple[str, int], float] = field(default_factory=dict)

    def visitor(self) -> Visit:
        """Return a visitor that times statements where the index is there, or is gone for everyone."""
        self.times.clear()
        return partial(self._visit, Counter())

    def _visit(self, visits: Counter[str], session: Rehearsal, name: str, params: Params) -> None:
        if name not in self.trial.statements or visits[name] >= VISITS:
            return
        visits[name] += 1
        try:
            with session.savepoint("arm"):
                times = [
                    time
                    for number in range(ROUNDS)
                    for time in _timed(self.trial, self.bench, self.side, (session, name, params), look=number == 0)
                ]
        except DriverError:
            self.trial.refused[name] += 1
            return
        self.times[name, visits[name]] = min(times)


def put_together(trial: Trial, play: Play, present: OneSide, absent: OneSide) -> None:
    """Pair the times of one play: the same visits of the same statements."""
    for place, with_ms in present.times.items():
        if place in absent.times:
            trial.times[place[0], play].append((with_ms, absent.times[place]))
