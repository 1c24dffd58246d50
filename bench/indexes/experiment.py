"""Index after index: which statements it concerns, both sides played, until enough is known."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from bench.db.connection import Connection
from bench.db.indexing import ForeignKeyFacts, IndexFacts, drop_if_there, rebuild
from bench.indexes.plans import deleted_tables, written_tables
from bench.indexes.structure import Twin, serves, touched_by_deletes, twins
from bench.indexes.survey import Play, PlayFunction, Survey, Visitors
from bench.indexes.trial import SIDES, Bench, OneSide, Side, Trial, put_together, side_by_side, until_seen
from bench.stats.indexing import Role, effect

REBUILDING_S = 3.0
"""Seconds that an index may spend on being made again; one that takes longer is dropped for several plays at once."""
LOOK_EVERY = 8
"""Plays after which it is asked whether enough is known."""
SETTLED_WIDTHS = 3.0
"""Half-widths of its interval that an effect must be from zero to be clear: far beyond, so that looking does not decide."""


@dataclass(slots=True)
class Experiment:
    """The database, the players, and what the survey found.  ``plays`` is how many plays a statement is timed in."""

    bench: Bench
    play: PlayFunction
    survey: Survey
    indexes: Sequence[IndexFacts]
    foreign_keys: Sequence[ForeignKeyFacts]
    plays: int
    admin: Connection
    may_drop: bool
    remember: Callable[[str], None] = lambda _: None
    """Told the definition of an index before it is dropped for everyone, and nothing ("") when it is there again."""
    twins: Mapping[str, Twin] = field(init=False)

    def __post_init__(self) -> None:
        self.twins = twins(self.indexes)

    def roles(self, index: IndexFacts) -> dict[str, Role]:
        """Return what the index is to each statement that was sent: only those that it concerns."""
        # The planner may have taken one of two alike: what goes by a part of this index would go by this one without it.
        names = (index.name, *(part.name for part in self.parts_of(index)))
        users = {*(user for name in names for user in self.survey.users_of(name)), *self._deleters(index)}
        found: dict[str, Role] = {}
        for name in self.survey.played:
            writes = index.table in self._written(name)
            if name in users:
                found[name] = "both" if writes else "reads"
            elif writes:
                found[name] = "writes"
        return dict(sorted(found.items()))

    def parts_of(self, index: IndexFacts) -> tuple[IndexFacts, ...]:
        """Return the indexes that this one makes superfluous; it is measured as if they were gone."""
        return tuple(each for each in self.indexes if (twin := self.twins.get(each.name)) and twin.name == index.name)

    def served(self, index: IndexFacts) -> tuple[ForeignKeyFacts, ...]:
        """Return the references for which the index finds rows: deletes look for them, and no plan shows it."""
        return serves(index, self.foreign_keys)

    def trial(self, index: IndexFacts) -> Trial:
        """Time what the index concerns, with and without it; the schema is as before, whatever happens."""
        roles = self.roles(index)
        readers = frozenset(name for name, role in roles.items() if role != "writes")
        trial = Trial(index, readers, self.parts_of(index))
        if trial.statements:
            self._hide_in_place(trial)
        writers = frozenset(name for name, role in roles.items() if role == "writes")
        if writers and self.may_drop:
            dropped = Trial(index, writers, times=trial.times, looks=trial.looks, refused=trial.refused)
            self._drop_for_real(dropped)
        return trial

    def _hide_in_place(self, trial: Trial) -> None:
        with self._set_apart(trial.index):
            for number, play in enumerate(self.survey.plays_of(trial.statements, self.plays), 1):
                self._play(play, partial(side_by_side, trial, self.bench, play), trial)
                if number % LOOK_EVERY == 0 and _is_clear(trial, self.plays // 2):
                    return

    def _drop_for_real(self, trial: Trial) -> None:
        plays = self.survey.plays_of(trial.statements, self.plays)
        size = 1
        done = 0
        while done < len(plays):
            some = plays[done : done + size]
            took_s = self._both_sides(trial, some, SIDES if (done // size) % 2 == 0 else SIDES[::-1])
            done += len(some)
            size = max(1, round(took_s * len(plays) / REBUILDING_S))

    def _both_sides(self, trial: Trial, plays: Sequence[Play], order: Sequence[Side]) -> float:
        """Play with the index, and without it, in this order; return the seconds of making it again."""
        sides = {(play, side): OneSide(trial, self.bench, side) for play in plays for side in SIDES}
        took_s = 0.0
        for side in order:
            if side == "with":
                for play in plays:
                    self._play(play, sides[play, side].visitor, trial)
            else:
                with self._dropped(trial.index) as rebuilt:
                    for play in plays:
                        self._play(play, sides[play, side].visitor, trial)
                took_s = rebuilt[0]
        for play in plays:
            put_together(trial, play, sides[play, "with"], sides[play, "without"])
        return took_s

    def _play(self, play: Play, visitors: Visitors, trial: Trial) -> None:
        wanted = {name: count for name, count in self.survey.sent[play].items() if name in trial.statements}
        self.play(play, lambda: until_seen(visitors(), wanted))

    @contextmanager
    def _dropped(self, index: IndexFacts) -> Iterator[list[float]]:
        """Drop the index for everyone, and make it again whatever happens; hands out the seconds that it took."""
        took: list[float] = []
        self.remember(index.definition)
        try:
            self.bench.lab.drop(self.admin, index)
            yield took
        finally:
            # A play that was cut off may hold locks on the table.
            drop_if_there(self.admin, self.bench.dialect, index)
            started = time.perf_counter()
            rebuild(self.admin, index)
            took.append(time.perf_counter() - started)
            self.remember("")

    @contextmanager
    def _set_apart(self, index: IndexFacts) -> Iterator[None]:
        try:
            self.bench.lab.set_apart(self.admin, index)
            yield
        finally:
            self.bench.lab.put_back(self.admin, index)

    def _written(self, statement: str) -> frozenset[str]:
        sql = self.bench.catalogue[statement].sql
        return written_tables(sql) | touched_by_deletes(deleted_tables(sql), self.foreign_keys)

    def _deleters(self, index: IndexFacts) -> Iterator[str]:
        """Yield the statements whose deletes look for rows by the index."""
        parents = {key.parent for key in self.served(index)}
        for name in self.survey.played:
            if parents & touched_by_deletes(deleted_tables(self.bench.catalogue[name].sql), self.foreign_keys):
                yield name


def _is_clear(trial: Trial, enough: int) -> bool:
    """Whether every statement's interval is far from zero, so that more plays would only make it narrower."""
    for name in trial.statements:
        seen = trial.observations(name)
        if len(seen) < enough:
            return False
        saved = effect(name, "reads", 1.0, seen).saved_ms
        if saved.low is None or abs(saved.estimate) < SETTLED_WIDTHS * (saved.estimate - saved.low):
            return False
    return True
