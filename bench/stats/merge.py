"""Merging cells by their labels: counts are added, histograms pooled, percentiles never averaged.  Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.metrics.frame import TransactionCell
from bench.metrics.histogram import Histogram

_FOLD_AT = 64
"""Parts kept before they are folded into one: a merge costs its buckets, so fold seldom, yet hold little memory."""

Label = Literal["phase", "region", "name", "outcome", "kind"]

SESSION_PREFIX = "session:"


def is_session(name: str) -> bool:
    """Return whether a transaction's name stands for a whole session of a user."""
    return name.startswith(SESSION_PREFIX)


@dataclass(slots=True)
class Pool:
    """Pools histograms one after another in little memory."""

    parts: list[Histogram] = field(default_factory=list)

    def add(self, part: Histogram) -> None:
        """Add the values of one histogram."""
        self.parts.append(part)
        if len(self.parts) >= _FOLD_AT:
            self.parts = [Histogram.merge(self.parts)]

    def histogram(self) -> Histogram:
        """Return the histogram of everything added."""
        return self.parts[0] if len(self.parts) == 1 else Histogram.merge(self.parts)


@dataclass(frozen=True, slots=True)
class Merged:
    """Transactions merged over the labels that were not asked for."""

    count: int
    attempts: int
    response: Histogram
    service: Histogram


def merge_transactions(cells: Iterable[TransactionCell], by: Sequence[Label]) -> dict[tuple[str, ...], Merged]:
    """Return the cells merged by some of their labels, keyed by these labels' values in the order of ``by``."""
    groups: defaultdict[tuple[str, ...], list[TransactionCell]] = defaultdict(list)
    for cell in cells:
        groups[tuple(getattr(cell, label) for label in by)].append(cell)
    return {key: merge_group(group) for key, group in sorted(groups.items())}


def merge_group(cells: Sequence[TransactionCell]) -> Merged:
    """Return all cells as one."""
    return Merged(
        sum(cell.count for cell in cells),
        sum(cell.attempts for cell in cells),
        Histogram.merge(cell.response for cell in cells),
        Histogram.merge(cell.service for cell in cells),
    )
