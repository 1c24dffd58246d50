"""Retries as a ledger: what was aborted, why, where, over which key, and what that cost.  Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from bench.metrics.frame import RetryCell
from bench.units import NS_PER_MS

LEDGER_ROWS = 200
HOT_KEYS = 20


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """Aborted attempts of one reason in one place over one key, and the time of these and of the back-off after them."""

    reason: str
    region: str
    transaction: str
    statement: str
    key: str
    count: int
    wasted_ms: float


@dataclass(frozen=True, slots=True)
class HotKey:
    """What was contended for, all regions and transactions together; ``share`` is its part of all wasted time."""

    key: str
    count: int
    wasted_ms: float
    share: float
    main_reason: str
    main_place: str


def ledger(cells: Iterable[RetryCell]) -> tuple[LedgerRow, ...]:
    """Return the costliest ``LEDGER_ROWS`` places, costliest first."""
    counts: Counter[tuple[str, str, str, str, str]] = Counter()
    wasted: Counter[tuple[str, str, str, str, str]] = Counter()
    for cell in cells:
        label = (cell.reason, cell.region, cell.transaction, cell.statement, cell.key)
        counts[label] += cell.count
        wasted[label] += cell.wasted_ns
    order = sorted(counts, key=lambda label: (-wasted[label], label))
    return tuple(LedgerRow(*label, counts[label], wasted[label] / NS_PER_MS) for label in order[:LEDGER_ROWS])


def hot_keys(cells: Iterable[RetryCell]) -> tuple[HotKey, ...]:
    """Return the keys that cost most, costliest first; attempts that named no key are left out."""
    groups: defaultdict[str, list[RetryCell]] = defaultdict(list)
    total = 0
    for cell in cells:
        total += cell.wasted_ns
        if cell.key:
            groups[cell.key].append(cell)
    rows = [_hot_key(key, group, total) for key, group in groups.items()]
    return tuple(sorted(rows, key=lambda row: (-row.wasted_ms, -row.count, row.key))[:HOT_KEYS])


def _hot_key(key: str, cells: Iterable[RetryCell], total_ns: int) -> HotKey:
    reasons: Counter[str] = Counter()
    places: Counter[str] = Counter()
    wasted = 0
    for cell in cells:
        reasons[cell.reason] += cell.count
        places[f"{cell.transaction}/{cell.statement}"] += cell.count
        wasted += cell.wasted_ns
    share = wasted / total_ns if total_ns else 0.0
    main_reason, main_place = reasons.most_common(1)[0][0], places.most_common(1)[0][0]
    return HotKey(key, reasons.total(), wasted / NS_PER_MS, share, main_reason, main_place)
