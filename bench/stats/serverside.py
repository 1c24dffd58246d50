"""What the server counted in each phase: differences of its own cumulative counters.  Pure."""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bench.metrics.frame import Counter, RetryCell, StatementCell

KINDS = ("statement", "index", "table", "database", "wait", "lock")
_WEIGHT = {"statement": "exec_ms", "index": "scans", "table": "seq_tup_read", "wait": "samples", "lock": "samples"}
"""By which of its counters a kind is ranked; the sum of all of them where it has no such one."""
_KEPT = {"statement": 30, "index": 30, "table": 20, "database": 20, "wait": 12, "lock": 12}


@dataclass(frozen=True, slots=True)
class ServedRow:
    """What one statement, index, table, database, wait or lock counted in one phase; ``values`` by the counter's name."""

    phase: str
    kind: str
    region: str
    name: str
    values: dict[str, float]


def served_rows(counters: Sequence[Counter]) -> tuple[ServedRow, ...]:
    """Return what was counted in each phase, in the order of the phases, of each kind the rows with most first.

    A counter that was not there before began at zero; one that fell was set back (the server was restarted), and what it
    counted since is its value.  What did not move is left out.
    """
    moments: dict[str, dict[tuple[str, str, str, str], float]] = {}
    for counter in sorted(counters, key=lambda counter: counter.elapsed_s):
        label = (counter.kind, counter.region, counter.name, counter.metric)
        moments.setdefault(counter.moment, {})[label] = counter.value
    rows: list[ServedRow] = []
    names = list(moments)
    before: dict[tuple[str, str, str, str], float] = dict(moments[names[0]]) if names else {}
    for phase in names[1:]:
        rows += _phase_rows(phase, _grown(before, moments[phase]))
        before |= moments[phase]
    return tuple(rows)


Grown = dict[tuple[str, str, str], dict[str, float]]


def _grown(before: dict[tuple[str, str, str, str], float], after: dict[tuple[str, str, str, str], float]) -> Grown:
    grown: defaultdict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for label, value in after.items():
        *place, metric = label
        since = before.get(label, 0.0)
        difference = value - since if value >= since else value
        if difference:
            grown[place[0], place[1], place[2]][metric] = difference
    return grown


def _phase_rows(phase: str, grown: Grown) -> list[ServedRow]:
    rows = [ServedRow(phase, kind, region, name, values) for (kind, region, name), values in grown.items()]
    found: list[ServedRow] = []
    for kind in (*KINDS, *sorted({row.kind for row in rows} - set(KINDS))):
        ranked = sorted((row for row in rows if row.kind == kind), key=lambda row: (row.region, row.name))
        ranked.sort(key=_weight, reverse=True)
        found += ranked[: _KEPT.get(kind, 20)]
    return found


def _weight(row: ServedRow) -> tuple[float, float]:
    return row.values.get(_WEIGHT.get(row.kind, ""), 0.0), sum(row.values.values())


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """The same thing as the server and as the client counted it, over the whole run, warm-up included."""

    what: str
    server: int
    client: int
    note: str


_DEADLOCK = "deadlock_detected"


def cross_checks(
    rows: Sequence[ServedRow], retries: Sequence[RetryCell], statements: Sequence[StatementCell]
) -> tuple[CrossCheck, ...]:
    """Return deadlocks, rollbacks and calls of statements beside the client's own; nothing that the server did not count.

    ``rows`` are of all phases, ``retries`` and ``statements`` of the whole run.
    """
    counted, calls, sent = Tally[str](), Tally[str](), Tally[str]()
    for row in rows:
        if row.kind == "database":
            counted.update({metric: round(value) for metric, value in row.values.items()})
        elif row.kind == "statement":
            calls[row.name] += round(row.values.get("calls", 0.0))
    for cell in statements:
        sent[cell.statement] += cell.count
    found = []
    if counted:
        deadlocks = sum(cell.count for cell in retries if cell.reason == _DEADLOCK)
        found = [
            CrossCheck("deadlocks", counted["deadlocks"], deadlocks, "the client's: attempts that ended with one"),
            CrossCheck("rollbacks", counted["rollbacks"], sent["ROLLBACK"], "the client's: ROLLBACK sent"),
        ]
    both = sorted(set(calls) & set(sent))
    if both:
        server, client = (sum(each[name] for name in both) for each in (calls, sent))
        found.append(CrossCheck("calls of statements", server, client, "of those that both count by name"))
    return tuple(found)
