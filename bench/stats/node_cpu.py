"""How busy the CPUs of a cluster's nodes were in a phase, by what each node says of itself.  Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from bench.metrics.frame import Counter
from bench.metrics.nodes import NOW_NS, OF_CORES, SYS_CORES, SYS_NS, USER_CORES, USER_NS


@dataclass(frozen=True, slots=True)
class NodeCpu:
    """Of one node: the cores' worth of CPU that its process used on average, and how many cores it may use."""

    region: str
    node: str
    busy: float
    cores: float

    @property
    def share(self) -> float:
        """Return the part of its cores that it used (0 to 1)."""
        return self.busy / self.cores


def node_cpu(counters: Iterable[Counter], before: str, at: str) -> tuple[NodeCpu, ...]:
    """Return the nodes between two moments, the busiest first; a node that was restarted or not read twice is left out.

    CPU time is divided by the time between the two looks that the node took at it (``sys.cpu.now.ns``), which are not the
    moments of the run.  How many cores it may use is no metric; it is the ratio of two that are
    (``sys.cpu.combined.percent-normalized`` is user and system divided by them, pkg/server/status/runtime.go).
    """
    read: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for counter in counters:
        if counter.moment in (before, at):
            moments = read.setdefault((counter.region, counter.name), {before: {}, at: {}})
            moments[counter.moment][counter.metric] = counter.value
    found = [_between(*place, moments[before], moments[at]) for place, moments in read.items()]
    return tuple(sorted((node for node in found if node), key=lambda node: -node.share))


def _between(region: str, node: str, first: dict[str, float], last: dict[str, float]) -> NodeCpu | None:
    try:
        spent = [last[name] - first[name] for name in (USER_NS, SYS_NS)]
        took = last[NOW_NS] - first[NOW_NS]
        at_once, share = last[USER_CORES] + last[SYS_CORES], last[OF_CORES]
    except KeyError:
        return None
    if took <= 0 or min(spent) < 0 or share <= 0 or at_once <= 0:
        return None
    return NodeCpu(region, node, sum(spent) / took, at_once / share)
