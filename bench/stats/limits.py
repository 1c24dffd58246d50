"""What limited it: from what was seen at the rate that broke the objective to a verdict with its figures.  Pure.

Each rule names the figure that it rests on; where none holds the answer is that it is not known.  The generator comes first:
what it spoilt says nothing about the server.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bench.stats.node_cpu import NodeCpu
from bench.units import format_share

CPU_SHARE = 0.85
"""Of all cores, by the server: with Poisson arrivals queueing for a core then shows in any p99."""
MACHINE_SHARE = 0.95
WAIT_SHARE = 0.3
"""Of the time that sessions were active: a third of it spent waiting for one thing makes that thing the largest lever."""
WASTED_SHARE = 0.2
FULL_SHARE = 0.9
FAST_RATIO = 1.25
"""Sessions up to a quarter slower than at a rate that held are as fast as ever (as in ``bench.stats.waits``)."""
_LEAST_SAMPLES = 10

_CLASSES = {"Lock": "locks", "IO": "disk"}
_LOG = ("WAL", "Wal")


@dataclass(frozen=True, slots=True)
class Signs:
    """What a probe shows of where time went; None where it was not recorded.

    ``server_cpu`` and ``machine_cpu`` are shares of all cores of the machine, ``node`` is the busiest of a cluster's nodes,
    ``full_share`` of the measured seconds in which no user was free, ``waits`` samples of active sessions by wait event
    (``Running`` waits for nothing), ``wasted_share`` the part of service time in aborted attempts and back-off,
    ``service_ms`` the mean service time of a session.
    """

    generator: tuple[str, ...] = ()
    server_cpu: float | None = None
    node: NodeCpu | None = None
    machine_cpu: float | None = None
    cores: int = 1
    full_share: float | None = None
    users: int = 0
    waits: Mapping[str, float] = field(default_factory=dict)
    wasted_share: float | None = None
    service_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Limit:
    """One thing that limited a server, and the sentence that shows it."""

    what: str
    evidence: str


UNKNOWN = Limit("not known", "nothing that was recorded stands out: no saturated core, pool, lock or disk")


def limits(broke: Signs, held: Signs | None) -> tuple[Limit, ...]:
    """Return what limited the server at a rate that broke, most direct first; ``held`` is the highest rate that held."""
    return tuple(_found(broke, held)) or (UNKNOWN,)


def _found(broke: Signs, held: Signs | None) -> Iterator[Limit]:
    for reason in broke.generator:
        yield Limit("the generator", reason)
    yield from _pool(broke, held)
    yield from _cpu(broke)
    yield from _waits(broke.waits)
    if broke.wasted_share is not None and broke.wasted_share >= WASTED_SHARE:
        yield Limit(
            "retries", f"{format_share(broke.wasted_share)} of service time went into aborted attempts and back-off"
        )


def _cpu(signs: Signs) -> Iterator[Limit]:
    if signs.node is not None and signs.node.share >= CPU_SHARE:
        node = signs.node
        yield Limit(
            "server CPU",
            f"{node.node} in {node.region}, the busiest node, used {format_share(node.share)} of {node.cores:.3g} cores",
        )
    if signs.server_cpu is not None and signs.server_cpu >= CPU_SHARE:
        yield Limit("server CPU", f"the server used {format_share(signs.server_cpu)} of {signs.cores} cores")
    elif signs.machine_cpu is not None and signs.machine_cpu >= MACHINE_SHARE:
        part = "" if signs.server_cpu is None else f", the server {format_share(signs.server_cpu)}"
        yield Limit(
            "the machine's CPU",
            f"all programs together used {format_share(signs.machine_cpu)} of {signs.cores} cores{part}",
        )


def _pool(broke: Signs, held: Signs | None) -> Iterator[Limit]:
    if broke.full_share is None or broke.full_share < FULL_SHARE:
        return
    if held is None or not held.service_ms or not broke.service_ms:
        return
    ratio = broke.service_ms / held.service_ms
    if ratio <= FAST_RATIO:
        yield Limit(
            "connections",
            f"all {broke.users} users were busy in {format_share(broke.full_share)} of the seconds, and sessions took "
            f"no longer than at a rate that held ({ratio:.2f} times)",
        )


def _waits(waits: Mapping[str, float]) -> Iterator[Limit]:
    total = sum(waits.values())
    if total < _LEAST_SAMPLES:
        return
    groups: dict[str, dict[str, float]] = {}
    for name, samples in waits.items():
        kind, _, event = name.partition(":")
        what = "write-ahead log" if event.startswith(_LOG) else _CLASSES.get(kind, "")
        if what:
            groups.setdefault(what, {})[name] = samples
    for what, found in sorted(groups.items(), key=lambda item: -sum(item[1].values())):
        share = sum(found.values()) / total
        if share >= WAIT_SHARE:
            most = max(found, key=lambda name: found[name])
            yield Limit(
                what, f"{format_share(share)} of {total:.0f} samples of active sessions waited for it, most at {most}"
            )
