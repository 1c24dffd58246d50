"""The first look: every session is played, every statement's plan is asked for with the values that it is sent with."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from bench.db.catalogue import Catalogue, Statement
from bench.db.connection import Connection, DriverError, rows
from bench.db.ddl import Dialect
from bench.db.indexing import GENERIC_PLAN, IndexLab
from bench.db.rehearsal import Params, Rehearsal, Visit
from bench.indexes.plans import Plan, read_plan

PLANS_PER_REGION = 3
"""Plans asked for by statement and region: values differ, and with them the plans."""


class Play(NamedTuple):
    """One session of the workload: the same seed in the same database plays the same statements."""

    seed: int
    region: str
    session: str


LEAST_ROUNDS, MOST_ROUNDS = 3, 12
IDLE_ROUNDS = 3
RARE_PLAYS = 4
"""A session is played in every region again and again, until so many rounds have brought no statement not seen before, and
none of its statements was seen in fewer plays."""

Visitors = Callable[[], Visit]
"""Makes a visitor that has seen nothing: what the server gave up is played again from its beginning."""
PlayFunction = Callable[[Play, Visitors], None]
"""Plays a session in a transaction that is rolled back, and shows a visitor each statement before it is sent."""


@dataclass(slots=True)
class Survey:
    """What the sessions send, and by which indexes.  ``parts`` are the names of partitions' indexes."""

    dialect: Dialect
    lab: IndexLab
    catalogue: Catalogue
    parts: Mapping[str, str]
    used: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Indexes by statement, and how many of its plans had them."""
    could: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Indexes by statement that it would go by if no table were read whole: as it would be in larger ones."""
    unplayed: dict[str, frozenset[str]] = field(default_factory=dict)
    """Indexes that statements of the workload might go by that no session sent."""
    sent: dict[Play, Counter[str]] = field(default_factory=dict)
    """How often each play sent each statement."""
    refused: Counter[str] = field(default_factory=Counter)
    _plans: Counter[tuple[str, str]] = field(default_factory=Counter)

    def play_all(self, play: PlayFunction, sessions: Sequence[str], regions: Sequence[str]) -> None:
        """Play every session in every region, several times."""
        idle = dict.fromkeys(sessions, 0)
        for seed in range(MOST_ROUNDS):
            for session in sessions:
                if seed >= LEAST_ROUNDS and idle[session] >= IDLE_ROUNDS and not self._has_rare(session):
                    continue
                known = len(self.used)
                for region in regions:
                    each = Play(seed, region, session)
                    play(each, partial(self.visitor, each))
                idle[session] = idle[session] + 1 if len(self.used) == known else 0

    def _has_rare(self, session: str) -> bool:
        plays = Counter(name for sent in self.sent.values() for name in sent)
        mine = {name for play, sent in self.sent.items() if play.session == session for name in sent}
        return any(plays[name] < RARE_PLAYS for name in mine)

    def visitor(self, play: Play) -> Visit:
        """Return the visitor of one play; what an earlier one of it was shown does not count."""
        sent = self.sent[play] = Counter[str]()

        def visit(session: Rehearsal, name: str, params: Params) -> None:
            sent[name] += 1
            place = name, play.region
            if self._plans[place] < PLANS_PER_REGION:
                self._look(session, name, params, first=not self._plans[place])
                self._plans[place] += 1

        return visit

    def calls_per_play(self) -> dict[tuple[str, str], float]:
        """Return how often a statement is called per session of a region, every session as often as any other."""
        plays = Counter((play.region, play.session) for play in self.sent)
        sessions = Counter(region for region, _ in plays)
        found: dict[tuple[str, str], float] = defaultdict(float)
        for play, sent in self.sent.items():
            for name, count in sent.items():
                found[name, play.region] += count / plays[play.region, play.session] / sessions[play.region]
        return dict(found)

    @property
    def played(self) -> frozenset[str]:
        """Names of the statements that were sent."""
        return frozenset(name for sent in self.sent.values() for name in sent)

    def users_of(self, index: str) -> tuple[str, ...]:
        """Return the statements that went by an index."""
        return tuple(sorted(name for name, found in self.used.items() if index in found))

    def plays_of(self, statements: Iterable[str], enough: int) -> list[Play]:
        """Return few plays in which each of the statements is sent in so many of them, or in all that have it."""
        missing = dict.fromkeys(statements, enough)
        rest = {play: [name for name in names if name in missing] for play, names in sorted(self.sent.items())}
        chosen: list[Play] = []
        while rest:
            worth = {play: sum(missing[name] > 0 for name in names) for play, names in rest.items()}
            # Of plays worth the same one of a region that has had few, so that each has its own interval.
            had = Counter(play.region for play in chosen)
            best = max(worth, key=lambda play: (worth[play], -had[play.region]))
            if not worth[best]:
                break
            for name in rest.pop(best):
                missing[name] -= 1
            chosen.append(best)
        # In turns through the regions and sessions, so that what is stopped early has seen all of them.
        return sorted(chosen)

    def look_at_unplayed(self, connection: Connection, statements: Iterable[Statement]) -> None:
        """Ask for the plans of statements that no session sent, as for any values (PostgreSQL 16 and later)."""
        for statement in statements:
            if statement.name not in self.played and "prefer_indexes" in self.catalogue:
                self.unplayed[statement.name] = self._generic(connection, statement)

    def _generic(self, connection: Connection, statement: Statement) -> frozenset[str]:
        text: Any = f"{GENERIC_PLAN} {statement.numbered}"
        try:
            with connection.transaction(force_rollback=True):
                plain = read_plan(self.lab.plan_form, rows(connection, text), self.parts)
                connection.execute(self.catalogue["prefer_indexes"].sql)
                return plain.indexes | read_plan(self.lab.plan_form, rows(connection, text), self.parts).sought
        except DriverError:
            return frozenset()  # of servers before 16, and of parameters whose types the text does not tell

    def _look(self, session: Rehearsal, name: str, params: Params, *, first: bool) -> None:
        try:
            with session.savepoint("arm"):
                self.used[name].update(self._plan(session, name, params).indexes)
                if first and "prefer_indexes" in self.catalogue:
                    session.require_connection().execute(self.catalogue["prefer_indexes"].sql)
                    self.could[name] |= self._plan(session, name, params).sought
        except DriverError:
            self.refused[name] += 1

    def _plan(self, session: Rehearsal, name: str, params: Params) -> Plan:
        return read_plan(self.lab.plan_form, session.explained(self.lab.explain, name, params), self.parts)
