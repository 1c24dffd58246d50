"""What the server counted beside what the client saw: the same thing from two sides, over the whole run.  Pure."""

from collections import Counter as Tally
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from bench.metrics.frame import RetryCell, StatementCell
from bench.metrics.nodes import AUTO_RETRIES, COUNTERS, NODE, RESTARTS, NodeMetric
from bench.stats.served import ServedRow


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
