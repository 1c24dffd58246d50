"""The round trips between the cluster's regions as the kernel makes them, held against the matrix.

Measured by ICMP from within the network namespace of every node, so without CockroachDB: a wrong matrix is a wrong
network.  May import ``errors`` and its neighbours.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from bench.target.cluster import Running
from bench.target.cluster_docker import Compose

RELATIVE, ABSOLUTE_MS = 0.05, 1.0
"""What a measured round trip may differ by: netem works by the kernel's timer, and both ends do work."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """From a node to the first one of another region: milliseconds wanted and found, None for what did not answer."""

    node: str
    other: str
    wanted_ms: float
    found_ms: float | None

    @property
    def agrees(self) -> bool:
        """Whether it was measured close to what was wanted."""
        allowed = self.wanted_ms * RELATIVE + ABSOLUTE_MS
        return self.found_ms is not None and abs(self.found_ms - self.wanted_ms) <= allowed


def round_trips(
    compose: Compose, now: Running, wanted: Mapping[str, Mapping[str, float]] | None
) -> Iterator[RoundTrip]:
    """Yield the round trip from each node to each other region; ``wanted`` None wants none, where no distance is laid."""
    nodes = now.nodes
    with ThreadPoolExecutor(len(nodes) or 1) as pool:
        answers = list(pool.map(partial(_measured, compose), [node.service for node in nodes]))
    for node, found in zip(nodes, answers, strict=True):
        for other in now.regions:
            if other != node.region:
                wanted_ms = wanted[node.region][other] if wanted else 0.0
                yield RoundTrip(node.service, other, wanted_ms, found.get(other))


def _measured(compose: Compose, node: str) -> dict[str, float | None]:
    said = compose.run("exec", "-T", node.replace("crdb-", "netem-", 1), "sh", "/netem.sh", "measure")
    pairs = (line.split() for line in said.out.splitlines())
    return {pair[0]: _number(pair[1]) for pair in pairs if len(pair) == 2}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
