"""Times by second: what intervals and comparisons are made of.

A second's histogram holds what *ended* in it, of work that was intended to start in a measured phase; what ended later than
that (in the drain, in a cool-down) is in the last measured second before it.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from bench.metrics.frame import ATTEMPT
from bench.metrics.histogram import Histogram
from bench.results.read import Run
from bench.stats.merge import SESSION_PREFIX, Pool
from bench.stats.phases import is_measured, measured_names

Kind = Literal["transaction", "session", "statement"]
Which = Literal["response", "service"]

_HALF_FRAME_S = 0.5


class Label(NamedTuple):
    """Whose times: ``name`` is None for all transactions (or sessions), a statement's is ``transaction/statement``."""

    kind: Kind
    name: str | None
    region: str | None


def statement_name(transaction: str, statement: str) -> str:
    """Return the name under which a statement's times are found.

    >>> statement_name("checkout", "order_insert")
    'checkout/order_insert'
    """
    return f"{transaction}/{statement}"


def frame_histograms(
    run: Run, kind: Kind, name: str | None, region: str | None, which: Which = "response"
) -> list[Histogram]:
    """Return the times of each measured second, in order; None stands for all names or all regions.

    A statement has one time, whatever ``which``.  Failures count with the time until they were given up.
    """
    slots = _slots(run)
    pools: defaultdict[int, Pool] = defaultdict(Pool)
    for frame, label, packed in _times(run, kind, which):
        if frame in slots and name in (None, label.name) and region in (None, label.region):
            pools[slots[frame]].add(Histogram.from_bytes(packed))
    return [pools[slot].histogram() for slot in range(_size(slots))]


def all_frame_histograms(
    run: Run, kind: Kind, which: Which = "response", blocks: int | None = None
) -> dict[Label, list[Histogram]]:
    """Return the same for every name and region at once, and for all regions of a name (region None), in one reading.

    With ``blocks`` the seconds are pooled into at most so many stretches of equal length, which takes less memory.
    """
    slots = _slots(run)
    size = _size(slots)
    length = -(-size // blocks) if blocks and size else 1
    pools: defaultdict[Label, dict[int, Pool]] = defaultdict(dict)
    for frame, label, packed in _times(run, kind, which):
        if frame not in slots:
            continue
        part, slot = Histogram.from_bytes(packed), slots[frame] // length
        for each in (label, label._replace(region=None)):
            pools[each].setdefault(slot, Pool()).add(part)
    nothing = Histogram.empty()
    places = range(-(-size // length))
    return {
        label: [mine[slot].histogram() if slot in mine else nothing for slot in places]
        for label, mine in sorted(pools.items(), key=lambda item: (item[0].name or "", item[0].region or ""))
    }


def _slots(run: Run) -> dict[int, int]:
    """Return the number of the measured second of each frame; frames before the first have none."""
    phases = run.manifest.phases
    slots: dict[int, int] = {}
    last = -1
    for frame, elapsed_s in run.rows("SELECT frame, elapsed_s FROM frames ORDER BY frame"):
        middle_s = elapsed_s - _HALF_FRAME_S
        if is_measured(phases, middle_s) and (run.end_s is None or middle_s < run.end_s):
            last += 1
        if last >= 0:
            slots[frame] = last
    return slots


def _size(slots: dict[int, int]) -> int:
    return max(slots.values(), default=-1) + 1


def _times(run: Run, kind: Kind, which: Which) -> Iterator[tuple[int, Label, bytes]]:
    names = measured_names(run.manifest.phases)
    for frame, phase, region, name, packed in run.rows(*_query(kind, which)):
        if phase in names:
            yield frame, Label(kind, name.removeprefix(SESSION_PREFIX), region), packed


def _query(kind: Kind, which: Which) -> Sequence[str]:
    if kind == "statement":
        name = "transaction_name || '/' || statement"
        return f"SELECT frame, phase, region, {name}, time FROM statements WHERE statement <> ?", ATTEMPT  # noqa: S608
    compare = "LIKE" if kind == "session" else "NOT LIKE"
    query = f"SELECT frame, phase, region, name, {which} FROM transactions WHERE name {compare} ?"  # noqa: S608
    return query, f"{SESSION_PREFIX}%"
