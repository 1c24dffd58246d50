"""What the slowest hundredth is made of: the time of the slowest transactions, taken apart.  Pure.

A response time is the lateness of the generator, the wait for a free user, and the service time; this is the statements
(each with the emulated distance of its exchange), the back-off between attempts, and the client's own work between them.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.metrics.frame import SlowSample, StatementCell
from bench.metrics.histogram import Histogram

SLOWEST_SHOWN = 10
_MOSTLY = 0.5

SliceKind = Literal["dispatch", "pool", "statement", "distance", "backoff", "client"]


@dataclass(frozen=True, slots=True)
class Slice:
    """One part of the time of the slowest transactions; ``name`` is TRANSACTION/STATEMENT for a statement.

    ``usual_ms`` is a statement's median over the whole run, ``mean_ms`` its mean time in a slow transaction.
    """

    kind: SliceKind
    name: str
    share: float
    mean_ms: float
    usual_ms: float | None


@dataclass(frozen=True, slots=True)
class Tail:
    """The slowest transactions taken apart, largest slice first.

    ``samples`` of about ``at_or_above`` transactions as slow as ``threshold_ms`` were kept: the five slowest of each second.
    ``key`` is what most of them contended for, ``key_samples`` how many did; ``reasons`` count their aborted attempts.
    """

    threshold_ms: float
    threshold_at_least: bool
    samples: int
    at_or_above: int
    slices: tuple[Slice, ...]
    key: str
    key_samples: int
    reasons: tuple[tuple[str, int], ...]
    slowest: tuple[SlowSample, ...]
    sentence: str


@dataclass(frozen=True, slots=True)
class Slowest:
    """What a tail is made from: the samples kept of the measured phases, and what to compare them with.

    ``count`` is of all transactions behind the threshold, censored ones included.
    """

    samples: Sequence[SlowSample]
    threshold_ms: float | None
    at_least: bool
    count: int
    distance_ms: Mapping[str, float]
    statements: Sequence[StatementCell]


def explain(given: Slowest) -> Tail | None:
    """Return the tail of a run taken apart; None when nothing slow was kept.

    The samples at or above the threshold are looked at; where none reached it (it is a bound), the slowest one in ten.
    """
    ranked = sorted(given.samples, key=lambda sample: -sample.response_ms)
    threshold = given.threshold_ms
    if not ranked or threshold is None:
        return None
    # A percentile is within 0.05 % of the time recorded: the sample that it is must not fall below it.
    chosen = [sample for sample in ranked if sample.response_ms >= threshold * 0.999]
    chosen = chosen or ranked[: max(1, len(ranked) // 10)]
    slices = _slices(chosen, given)
    keys = Counter(sample.key for sample in chosen if sample.key)
    key, key_samples = keys.most_common(1)[0] if keys else ("", 0)
    reasons = Counter(reason for sample in chosen for reason in sample.reasons)
    return Tail(
        threshold_ms=threshold,
        threshold_at_least=given.at_least,
        samples=len(chosen),
        at_or_above=max(len(chosen), -(-given.count // 100)),
        slices=slices,
        key=key,
        key_samples=key_samples,
        reasons=tuple(reasons.most_common()),
        slowest=tuple(ranked[:SLOWEST_SHOWN]),
        sentence=_sentence(slices, key if key_samples >= _MOSTLY * len(chosen) else ""),
    )


def _slices(chosen: Sequence[SlowSample], given: Slowest) -> tuple[Slice, ...]:
    """Shares of all the time of the samples: a transaction that took twice as long counts twice."""
    spent: defaultdict[tuple[SliceKind, str], float] = defaultdict(float)
    for sample in chosen:
        for label, ms in parts(sample, given.distance_ms.get(sample.region, 0.0)):
            spent[label] += ms
    whole = sum(spent.values()) or 1.0
    usual = _medians(given.statements)
    made = [
        Slice(kind, name, ms / whole, ms / len(chosen), usual.get(name) if kind == "statement" else None)
        for (kind, name), ms in spent.items()
        if ms > 0
    ]
    return tuple(sorted(made, key=lambda part: (-part.share, part.kind, part.name)))


def parts(sample: SlowSample, distance_ms: float) -> list[tuple[tuple[SliceKind, str], float]]:
    """Return the parts of one sample's response time, ((kind, name), ms), which add up to it.

    A statement is at least as long as the distance of its exchange; one that travelled with the one before it is marked, or
    shorter.
    """
    found: list[tuple[tuple[SliceKind, str], float]] = [
        (("dispatch", "late generator"), sample.dispatch_ms),
        (("pool", "waiting for a free user"), sample.wait_ms),
    ]
    in_statements = rolled_back = 0.0
    for name, ms, *joined in sample.statements:
        travelled = distance_ms if ms >= distance_ms and not any(joined) else 0.0
        found.append((("distance", "emulated distance"), travelled))
        found.append((("statement", f"{sample.transaction}/{name}"), ms - travelled))
        in_statements += ms
        rolled_back += ms if name == "ROLLBACK" else 0.0
    # Between two attempts the first is rolled back, which is a statement of its own.
    backoff = max(0.0, sample.backoff_ms - rolled_back)
    found.append((("backoff", "back-off between attempts"), backoff))
    found.append((("client", "the client itself"), max(0.0, sample.service_ms - in_statements - backoff)))
    return found


def _medians(cells: Sequence[StatementCell]) -> dict[str, float]:
    groups: defaultdict[str, list[StatementCell]] = defaultdict(list)
    for cell in cells:
        groups[f"{cell.transaction}/{cell.statement}"].append(cell)
    return {name: _median_ms(group) for name, group in groups.items()}


def _median_ms(cells: Sequence[StatementCell]) -> float:
    return Histogram.merge(cell.time for cell in cells).percentile_ms(50) or 0.0


_SAYINGS: dict[SliceKind, str] = {
    "dispatch": "the generator's own lateness (it was too slow, not the target)",
    "pool": "waiting for a free user (the pool was too small for how long sessions took)",
    "distance": "emulated distance",
    "backoff": "back-off between attempts",
    "client": "the client's own work between statements",
}
WAITING_FACTOR = 5.0
"""A statement that takes five times its median in the tail does not work for longer: it waits."""


def _sentence(slices: Sequence[Slice], key: str) -> str:
    if not slices:
        return "the slowest transactions took no time that was recorded"
    top = slices[0]
    share = f"p99 is {100 * top.share:.0f} % "
    if top.kind != "statement":
        return share + _SAYINGS[top.kind]
    waits = top.usual_ms is not None and top.mean_ms > WAITING_FACTOR * max(top.usual_ms, 0.01)
    doing = "waiting for a row in " if waits and key else "waiting in " if waits else "the statement "
    return f"{share}{doing}{top.name}{f' of {key}' if key else ''}"
