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

Kind = Literal["transaction", "statement"]
Which = Literal["response", "service"]

_HALF_FRAME_S = 0.5


class Label(NamedTuple):
    """Whose times: a statement's name is ``transaction/statement``, ``region`` None is all of them."""

    kind: Kind
    name: str
    region: str | None


def all_frame_histograms(
    run: Run, kind: Kind, which: Which = "response", blocks: int | None = None
) -> dict[Label, list[Histogram]]:
    """Return the times of each measured second, in order, of every name and region, and of all regions (region None).

    A statement has one time, whatever ``which``.  Failures count with the time until they were given up.  With ``blocks`` the
    seconds are pooled into at most so many stretches of equal length, which takes less memory.
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
        for label, mine in sorted(pools.items(), key=lambda item: (item[0].name, item[0].region or ""))
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
            yield frame, Label(kind, name, region), packed


def _query(kind: Kind, which: Which) -> Sequence[str]:
    if kind == "statement":
        name = "transaction_name || '/' || statement"
        return f"SELECT frame, phase, region, {name}, time FROM statements WHERE statement <> ?", ATTEMPT  # noqa: S608
    return f"SELECT frame, phase, region, name, {which} FROM transactions WHERE name NOT LIKE ?", f"{SESSION_PREFIX}%"  # noqa: S608
