"""What the server counted in each phase: differences of its own cumulative counters.  Pure."""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.metrics.frame import Counter, RetryCell, StatementCell
from bench.metrics.nodes import AUTO_RETRIES, COUNTERS, HEALTH, HOME, LEASE, NODE, RESTARTS, NodeMetric

KINDS = ("statement", "index", "table", "database", "wait", "lock", NODE)
LEVELS = frozenset({HEALTH, LEASE, HOME})
"""Kinds of what is read as it stands: it does not count up, so it has no difference."""
_WEIGHT = {"statement": "exec_ms", "index": "scans", "table": "seq_tup_read", "wait": "samples", "lock": "samples"}
"""By which of its counters a kind is ranked; the sum of all of them where it has no such one."""
_SINCE_LONG = frozenset({"index", "table", "database", NODE})
"""Kinds whose counters go on from before the run."""
_KEPT = {"statement": 30, "index": 30, "table": 20, "database": 20, "wait": 12, "lock": 12, NODE: 64}


@dataclass(frozen=True, slots=True)
class ServedRow:
    """What one statement, index, table, database, wait or lock counted in one phase; ``values`` by the counter's name."""

    phase: str
    kind: str
    region: str
    name: str
    values: dict[str, float]


def served_rows(counters: Sequence[Counter]) -> tuple[ServedRow, ...]:
    """Return all that was counted in each phase, in the order of the phases, of each kind the rows with most first.

    A counter that was not there before began at zero, unless nobody had read its like before: of an index, a table or a
    database nothing of that kind, of a node nothing of that node.  Then the first reading is where it begins.  A counter of
    a node that fell was set back (the node was restarted), and what it counted since is its value; of any other, which may
    be a sum over many servers, nobody knows what it counted, and it is left out.  So is what did not move.
    """
    moments: dict[str, dict[tuple[str, str, str, str], float]] = {}
    for counter in sorted(counters, key=lambda counter: counter.elapsed_s):
        if counter.kind in LEVELS:
            continue
        label = (counter.kind, counter.region, counter.name, counter.metric)
        moments.setdefault(counter.moment, {})[label] = counter.value
    rows: list[ServedRow] = []
    names = list(moments)
    before: dict[tuple[str, str, str, str], float] = dict(moments[names[0]]) if names else {}
    for phase in names[1:]:
        rows += _ranked(phase, _grown(before, moments[phase]))
        before |= moments[phase]
    return tuple(rows)


def shown_rows(rows: Sequence[ServedRow]) -> tuple[ServedRow, ...]:
    """Return the rows of each phase and kind with most: what a table shows.  Sums are to be made of all."""
    kept: Tally[tuple[str, str]] = Tally()
    found = []
    for row in rows:
        kept[row.phase, row.kind] += 1
        if kept[row.phase, row.kind] <= _KEPT.get(row.kind, 20):
            found.append(row)
    return tuple(found)


_Label = tuple[str, str, str, str]
Grown = dict[tuple[str, str, str], dict[str, float]]


def _grown(before: Mapping[_Label, float], after: Mapping[_Label, float]) -> Grown:
    known = {_source(label) for label in before}
    grown: defaultdict[tuple[str, str, str], dict[str, float]] = defaultdict(dict)
    for label, value in after.items():
        kind, region, name, metric = label
        if label not in before and kind in _SINCE_LONG and _source(label) not in known:
            continue
        since = before.get(label, 0.0)
        if value < since and kind != NODE:
            continue
        difference = value - since if value >= since else value
        if difference:
            grown[kind, region, name][metric] = difference
    return grown


def _source(label: _Label) -> tuple[str, ...]:
    """Return of whom a counter was read: of one node, or of all that is of its kind."""
    kind, region, name, _ = label
    return (kind, region, name) if kind == NODE else (kind,)


def _ranked(phase: str, grown: Grown) -> list[ServedRow]:
    rows = [ServedRow(phase, kind, region, name, values) for (kind, region, name), values in grown.items()]
    found: list[ServedRow] = []
    for kind in (*KINDS, *sorted({row.kind for row in rows} - set(KINDS))):
        ranked = sorted((row for row in rows if row.kind == kind), key=lambda row: (row.region, row.name))
        ranked.sort(key=_weight, reverse=True)
        found += ranked
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


@dataclass(frozen=True, slots=True)
class RetriesBeside:
    """What was done again for one region over the whole run, by whom.

    ``client``: attempts that ended without a commit and that the client saw; ``statements``: executions that the server
    retried by itself outside BEGIN, from its statistics of the run's statements; ``by_server`` and ``restarts``: what the
    region's nodes counted, for all their clients: automatic retries of transactions and statements, and restarts of
    transactions for any reason.  None where it was not counted.
    """

    region: str
    client: int
    statements: int | None
    by_server: int | None
    restarts: int | None


def retries_beside(rows: Sequence[ServedRow], refused: Mapping[str, int]) -> tuple[RetriesBeside, ...]:
    """Return a row for each region of which the server counted retries; ``refused`` is what the client saw, by region."""
    by_region: defaultdict[str, Tally[str]] = defaultdict(Tally)
    seen: set[tuple[str, str]] = set()
    for row in rows:
        for what, value in _retried(row):
            by_region[row.region][what] += value
        if row.region:
            seen.add((row.region, row.kind))

    def count(region: str, kind: str, what: str) -> int | None:
        return by_region[region][what] if (region, kind) in seen else None

    regions = [region for region in refused if (region, NODE) in seen or (region, "statement") in seen]
    return tuple(
        RetriesBeside(
            region,
            refused[region],
            count(region, "statement", "statements"),
            count(region, NODE, "by_server"),
            count(region, NODE, "restarts"),
        )
        for region in regions
    )


def _retried(row: ServedRow) -> Iterator[tuple[str, int]]:
    if row.kind == "statement":
        yield "statements", round(row.values.get("retries", 0.0))
    elif row.kind == NODE:
        yield "by_server", round(sum(row.values.get(name, 0.0) for name in AUTO_RETRIES))
        yield "restarts", round(sum(row.values.get(name, 0.0) for name in RESTARTS))


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One metric of the nodes in one phase: by how much it grew, by region, in the metric's unit."""

    phase: str
    metric: NodeMetric
    by_region: Mapping[str, float]


def node_rows(rows: Sequence[ServedRow]) -> tuple[NodeRow, ...]:
    """Return what the nodes counted, summed over each region's nodes; metrics that did not move are left out."""
    sums: defaultdict[tuple[str, str], Tally[str]] = defaultdict(Tally)
    for row in rows:
        if row.kind == NODE:
            for name, value in row.values.items():
                sums[row.phase, name][row.region] += value  # type: ignore[assignment]  # bytes and times are no integers
    heard: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for row in rows:
        if row.kind == NODE:
            heard[row.phase][row.region] = None
    # A region that was heard of and is not among a metric's sums counted none of it.
    return tuple(
        NodeRow(phase, metric, {region: sums[phase, metric.name][region] / metric.divisor for region in regions})
        for phase, regions in heard.items()
        for metric in COUNTERS
        if (phase, metric.name) in sums
    )


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
