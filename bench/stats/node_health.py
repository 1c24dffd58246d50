"""Was the cluster whole while it was measured?  Ranges without all their replicas, as its nodes counted them.  Pure."""

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from bench.metrics.frame import START, Counter
from bench.metrics.nodes import HEALTH, UNAVAILABLE, UNDERREPLICATED
from bench.stats.phases import Phase

_SAYS = {UNAVAILABLE: "unavailable (no quorum)", UNDERREPLICATED: "under-replicated"}


@dataclass(slots=True)
class RangeHealth:
    """The levels of each moment, by region: ``{(metric, moment): {region: ranges}}``."""

    levels: dict[tuple[str, str], Tally[str]] = field(default_factory=dict)

    def add(self, counters: Iterable[Counter]) -> None:
        """Add what nodes have reported; each range is reported by one of its stores."""
        for counter in counters:
            if counter.kind == HEALTH and counter.value > 0:
                regions = self.levels.setdefault((counter.metric, counter.moment), Tally())
                regions[counter.region] += round(counter.value)

    def faults(self, phases: Sequence[Phase] = ()) -> Iterator[str]:
        """Yield a sentence for each of the two kinds, on the worst of the moments that bound a measured phase.

        Without phases every moment counts.
        """
        bounds = _bounds(phases)
        for metric, says in _SAYS.items():
            moments = {
                moment: ranges
                for (name, moment), ranges in self.levels.items()
                if name == metric and (not phases or moment in bounds)
            }
            if not moments:
                continue
            worst = max(moments, key=lambda moment: moments[moment].total())
            where = ", ".join(f"{region} {count:,}" for region, count in moments[worst].most_common())
            when = "at the start" if worst == START else f"at the end of '{worst}'"
            ranges = moments[worst].total()
            plural = "range was" if ranges == 1 else "ranges were"
            yield f"the cluster was not whole: {ranges:,} {plural} {says} {when} ({where})"


def _bounds(phases: Sequence[Phase]) -> frozenset[str]:
    """Return the moments around each measured phase: the reading before it, and the one at its end."""
    before = (START, *(phase.name for phase in phases))
    around = ((moment, phase.name) for moment, phase in zip(before, phases, strict=False) if phase.measured)
    return frozenset(moment for pair in around for moment in pair)
