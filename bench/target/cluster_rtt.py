"""The round trips between the cluster's regions as the kernel makes them, held against the matrix.

Measured by ICMP from within the first node's network namespace of each region, so without CockroachDB: a wrong matrix is a
wrong network.  May import ``errors`` and its neighbours.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.target.cluster_docker import Compose

RELATIVE, ABSOLUTE_MS = 0.05, 1.0
"""What a measured round trip may differ by: netem works by the kernel's timer, and both ends do work."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """One direction: milliseconds wanted and found, None for what did not answer."""

    region: str
    other: str
    wanted_ms: float
    found_ms: float | None

    @property
    def agrees(self) -> bool:
        """Whether it was measured close to what was wanted."""
        allowed = self.wanted_ms * RELATIVE + ABSOLUTE_MS
        return self.found_ms is not None and abs(self.found_ms - self.wanted_ms) <= allowed


def round_trips(
    compose: Compose, regions: tuple[str, ...], wanted: Mapping[str, Mapping[str, float]] | None
) -> Iterator[RoundTrip]:
    """Yield the round trip from each region to each other; ``wanted`` None wants none, where no distance is laid."""
    for region in regions:
        found = _measured(compose, region)
        for other in regions:
            if other != region:
                yield RoundTrip(region, other, wanted[region][other] if wanted else 0.0, found.get(other))


def _measured(compose: Compose, region: str) -> dict[str, float | None]:
    said = compose.run("exec", "-T", f"netem-{region}-1", "sh", "/netem.sh", "measure")
    pairs = (line.split() for line in said.out.splitlines())
    return {pair[0]: _number(pair[1]) for pair in pairs if len(pair) == 2}


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
