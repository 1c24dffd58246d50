"""What the server counted in each phase: differences of its own cumulative counters.  Pure."""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from bench.metrics.frame import START, Counter
from bench.metrics.nodes import HEALTH, HOME, LEASE, NODE, PROCESSOR

KINDS = ("statement", "index", "table", "database", "wait", "lock", NODE)
LEVELS = frozenset({HEALTH, LEASE, HOME, PROCESSOR})
"""Kinds of what is read as it stands: it does not count up, so it has no difference."""
_WEIGHT = {"statement": "exec_ms", "index": "scans", "table": "seq_tup_read", "wait": "samples", "lock": "samples"}
"""By which of its counters a kind is ranked; the sum of all of them where it has no such one."""
LEVEL_METRICS = frozenset({"waiting_for_locks", "dead_tuples"})
"""Levels among the metrics of what is counted up: that one falls says nothing of the others."""
_SINCE_LONG = frozenset({"index", "table", "database", NODE})
"""Kinds whose counters go on from before the run; statements do, too, where they are of no region (PostgreSQL)."""
_READ_ALONE = frozenset({"database", NODE})
"""Kinds of which each name is read by itself."""
_NOISE = 1e-12
"""Relative: sums of means times counts differ by as much with the order in which they are added."""
_KEPT = {"statement": 30, "index": 30, "table": 20, "database": 20, "wait": 12, "lock": 12, NODE: 64}


@dataclass(frozen=True, slots=True)
class ServedRow:
    """What one statement, index, table, database, wait or lock counted in one phase, or in several between which no reading
    was taken (``a + b``); ``values`` by the counter's name."""

    phase: str
    kind: str
    region: str
    name: str
    values: dict[str, float]


def served_rows(counters: Sequence[Counter], phases: Sequence[str] = ()) -> tuple[ServedRow, ...]:
    """Return all that was counted in each phase, in the order of the phases, of each kind the rows with most first.

    ``phases`` are the names of all phases of the run in order.  Where a reading between two of them is missing, what was
    counted goes by the names of both ("steady + cool-down") and so belongs to neither.

    A row that was not there before began at zero, unless it goes on from before the run and nobody had read its like: of an
    index, a table or a statement of no region nothing of that kind, of a node or a database nothing of that name.  Then the
    first reading is where it begins.  Where one counter of a row fell, all of them were set back: those of a node are what
    it counted since its restart; of any other, which may be a sum over many servers, nobody knows what they counted, and
    the row is left out.  It is left out, too, when it climbs over its highest value again (what was missing may have come
    back), and after a reading that it alone was missing in.  So is what did not move.
    """
    readings: dict[str, dict[_Row, dict[str, float]]] = {}
    for counter in sorted(counters, key=lambda counter: counter.elapsed_s):
        if counter.kind not in LEVELS:
            row = counter.kind, counter.region, counter.name
            readings.setdefault(counter.moment, {}).setdefault(row, {})[counter.metric] = counter.value
    state = _State()
    rows: list[ServedRow] = []
    moments = list(dict.fromkeys((START, *phases, *readings)))
    for place, moment in enumerate(moments):
        found: defaultdict[int, dict[_Row, dict[str, float]]] = defaultdict(dict)
        for row, values in readings.get(moment, {}).items():
            since = state.since(row)
            if since is not None and since < place:
                found[since][row] = state.grown(row, values, since)
        for since in sorted(found, reverse=True):
            rows += _ranked(" + ".join(moments[since + 1 : place + 1]), found[since])
        state.take(place, readings.get(moment, {}))
    return tuple(rows)


def growth(name: str, values: Sequence[float]) -> float | None:
    """Return by how much a counter grew from its first value to its last; None for a level, and for one that was set back."""
    if name in LEVEL_METRICS or any(_fell(before, now) for before, now in pairwise(values)):
        return None
    return values[-1] - values[0]


def shown_rows(rows: Sequence[ServedRow]) -> tuple[ServedRow, ...]:
    """Return the rows of each phase and kind with most: what a table shows.  Sums are to be made of all."""
    kept: Tally[tuple[str, str]] = Tally()
    found = []
    for row in rows:
        kept[row.phase, row.kind] += 1
        if kept[row.phase, row.kind] <= _KEPT.get(row.kind, 20):
            found.append(row)
    return tuple(found)


_Row = tuple[str, str, str]
"""Kind, region and name."""


@dataclass(slots=True)
class _State:
    """What was read so far; a place is that of a moment among all moments of the run."""

    read: dict[tuple[str, ...], int] = field(default_factory=dict)
    """When each source was read last."""
    server_read: int = 0
    """When anything of the database was."""
    last: dict[_Row, tuple[int, dict[str, float]]] = field(default_factory=dict)
    highest: dict[_Row, dict[str, float]] = field(default_factory=dict)

    def since(self, row: _Row) -> int | None:
        """Return the place from which on a row's counters are of the run; None where nobody knows."""
        kind, region, _ = row
        is_since_long = kind in _SINCE_LONG or (kind == "statement" and not region)
        return self.read.get(_source(row), None if is_since_long else self.server_read)

    def grown(self, row: _Row, values: Mapping[str, float], since: int) -> dict[str, float]:
        """Return by how much each counter of a row grew; none of those that nobody knows."""
        place, before = self.last.get(row, (since, {}))
        counted = values.keys() - LEVEL_METRICS
        if any(_fell(before.get(metric, 0.0), values[metric]) for metric in counted):
            if row[0] != NODE:
                return {}
            before = {}
        elif place != since:
            return {}
        highest = self.highest.get(row, {}) if row[0] != NODE else {}
        for metric in counted & before.keys() & highest.keys():
            if _fell(highest[metric], before[metric]) and values[metric] >= highest[metric]:
                return {}
        changed = {metric: value - before.get(metric, 0.0) for metric, value in values.items()}
        return {metric: more for metric, more in changed.items() if more > _NOISE * abs(values[metric])}

    def take(self, place: int, reading: Mapping[_Row, dict[str, float]]) -> None:
        """Keep a reading."""
        for row, values in reading.items():
            self.read[_source(row)] = place
            if row[0] != NODE:
                self.server_read = place
            self.last[row] = place, values
            highest = self.highest.setdefault(row, {})
            for metric, value in values.items():
                highest[metric] = max(value, highest.get(metric, value))


def _fell(before: float, now: float) -> bool:
    return now < before - _NOISE * abs(before)


def _source(row: _Row) -> tuple[str, ...]:
    """Return what is read together with a row: it alone, or all that is of its kind."""
    return row if row[0] in _READ_ALONE else (row[0],)


def _ranked(phase: str, grown: Mapping[_Row, dict[str, float]]) -> list[ServedRow]:
    rows = [ServedRow(phase, *row, values) for row, values in grown.items() if values]
    found: list[ServedRow] = []
    for kind in (*KINDS, *sorted({row.kind for row in rows} - set(KINDS))):
        ranked = sorted((row for row in rows if row.kind == kind), key=lambda row: (row.region, row.name))
        ranked.sort(key=_weight, reverse=True)
        found += ranked
    return found


def _weight(row: ServedRow) -> tuple[float, float]:
    return row.values.get(_WEIGHT.get(row.kind, ""), 0.0), sum(row.values.values())
