"""What an index is worth: paired times with and without it, weighted by how often statements are called.  Pure.

An observation is one session played: the mean over its visits of a statement, once with the index and once without, from
the same state with the same parameters.  Observations of a statement are taken as independent; the interval of their mean
difference is Student's.  A sum over statements has the variance of its parts and Satterthwaite's degrees of freedom (F. E.
Satterthwaite, "An approximate distribution of estimates of variance components", Biometrics Bulletin 2, 1946).  The factor
is the geometric mean of the paired ratios, with Student's interval of their logarithms.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import stdtrit

CONFIDENCE = 0.95
ESSENTIAL_FACTOR = 2.0
"""A statement that takes at least twice as long without the index makes the index essential, if it pays at all."""
NO_LOSS_FACTOR = 1.2
"""Up to here a statement that goes by another index instead has lost nothing that counts."""
FEWEST = 3
"""Observations of a statement without which nothing is said of it."""

Role = Literal["reads", "writes", "both"]
"""A statement goes by the index, only has to maintain it, or both."""
Word = Literal["essential", "worth it", "unused", "costs more than it gives", "duplicate", "constraint", "can't tell"]


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its 95 % interval; the bounds are None where there are too few observations for one."""

    estimate: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One session played: mean milliseconds of a statement with and without the index."""

    statement: str
    region: str
    with_ms: float
    without_ms: float


@dataclass(frozen=True, slots=True)
class Effect:
    """What an index does to one statement, per call: ``saved_ms`` is the time without it less the time with it.

    ``calls`` is the weight: calls per second of a run, or per session played where there is no run.
    """

    statement: str
    role: Role
    calls: float
    n: int
    with_ms: float
    without_ms: float
    saved_ms: Interval
    factor: Interval
    variance: float
    """Of the mean of saved_ms."""


@dataclass(frozen=True, slots=True)
class Balance:
    """Milliseconds of the database per second of a run (or per session): given to readers, taken from writers, and net.

    ``cost`` is None where what it costs to maintain the index was not measured.
    """

    gain: Interval
    cost: Interval | None
    net: Interval


@dataclass(frozen=True, slots=True)
class Case:
    """What the verdict on an index rests on."""

    is_constraint: bool
    duplicate_of: str | None
    is_same: bool
    """Whether it holds exactly what the index that it duplicates holds."""
    users: tuple[str, ...]
    """Statements whose plans went by it."""
    could: tuple[str, ...]
    """Statements that would go by it in larger tables and do not here."""
    unplayed: tuple[str, ...]
    """Statements that were not played and might go by it."""
    foreign_keys: tuple[str, ...]
    """References that it serves although no plan shows it."""
    effects: tuple[Effect, ...]
    costs_measured: bool
    has_run: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """One of the seven words and why."""

    word: Word
    reason: str


def effect(statement: str, role: Role, calls: float, observations: Sequence[Observation]) -> Effect:
    """Return the effect on a statement of which there is at least one observation."""
    with_ms = np.array([each.with_ms for each in observations])
    without_ms = np.array([each.without_ms for each in observations])
    saved = without_ms - with_ms
    n = len(observations)
    variance = float(saved.var(ddof=1) / n) if n > 1 else 0.0
    logs = _student(np.log(without_ms / with_ms))
    factor = Interval(*(None if part is None else float(np.exp(part)) for part in _parts(logs)))  # type: ignore[arg-type]
    means = float(with_ms.mean()), float(without_ms.mean())
    return Effect(statement, role, calls, n, *means, _student(saved), factor, variance)


def balance(effects: Iterable[Effect], *, costs_measured: bool) -> Balance:
    """Return what the index gives and takes, weighted by calls.

    A statement that goes by the index and maintains it as well counts with what is left for it, as a gain.
    """
    kept = list(effects)
    writers = [each for each in kept if each.role == "writes"]
    cost = _negated(_total(writers)) if costs_measured else None
    return Balance(_total([each for each in kept if each.role != "writes"]), cost, _total(kept))


def verdict(case: Case) -> Verdict:
    """Return the verdict on an index."""
    if case.is_constraint:
        return Verdict("constraint", "keeps rows apart; only what it occupies is shown")
    readers = [each for each in case.effects if each.role != "writes"]
    if case.duplicate_of:
        found = _duplicate(case, readers)
        if found:
            return found
    if not case.users:
        return _without_users(case)
    if len([each for each in readers if each.n >= FEWEST]) == 0:
        return Verdict("can't tell", "too few observations of the statements that use it")
    if case.has_run and not any(each.calls for each in readers):
        return Verdict("can't tell", f"the run never sent what uses it: {_listed(case.users)}")
    return _weighed(case, readers)


def _duplicate(case: Case, readers: Sequence[Effect]) -> Verdict | None:
    if case.is_same:
        return Verdict("duplicate", f"holds the same as {case.duplicate_of}")
    lost = [each for each in readers if each.factor.high is None or each.factor.high > NO_LOSS_FACTOR]
    if lost:
        return None
    how = "nothing uses it" if not readers else "its statements go by that one instead and lose nothing"
    return Verdict("duplicate", f"its columns begin {case.duplicate_of}; {how}")


def _without_users(case: Case) -> Verdict:
    if case.could:
        return Verdict(
            "can't tell", f"{_listed(case.could)}: at this scale they read the whole table, in larger ones not"
        )
    if case.unplayed:
        return Verdict("can't tell", f"only statements that were not played may go by it: {_listed(case.unplayed)}")
    if case.foreign_keys:
        return Verdict("can't tell", f"may serve deletes only, by {_listed(case.foreign_keys)}, and none was played")
    return Verdict("unused", "no statement's plan goes by it")


def _weighed(case: Case, readers: Sequence[Effect]) -> Verdict:
    found = balance(case.effects, costs_measured=case.costs_measured)
    best = max(readers, key=lambda each: each.factor.low or 0.0)
    is_vital = (best.factor.low or 0.0) >= ESSENTIAL_FACTOR
    slower = f"{best.statement} takes {best.factor.estimate:.3g} times as long without it"
    if not case.costs_measured:
        # Nothing is known of the other side, so only what is beyond doubt is said.
        if is_vital:
            return Verdict("essential", f"{slower}; what it costs writers was not measured")
        return Verdict("can't tell", "what it costs writers was not measured")
    # Where hardly anything is at stake noise decides on which side of zero the net lies: gain or cost has to be seen itself.
    gains = found.gain.low is not None and found.gain.low > 0
    if gains and found.net.low is not None and found.net.low > 0:
        return Verdict("essential", slower) if is_vital else Verdict("worth it", slower)
    costs = found.cost is not None and found.cost.low is not None and found.cost.low > 0
    if costs and found.net.high is not None and found.net.high < 0:
        return Verdict(
            "costs more than it gives", "writers lose more than readers gain, with this data and these calls"
        )
    return Verdict("can't tell", "the interval of its net gain holds zero")


def _student(values: np.ndarray) -> Interval:
    mean, n = float(values.mean()), len(values)
    if n < FEWEST:
        return Interval(mean)
    half = float(values.std(ddof=1) / np.sqrt(n)) * _quantile(n - 1)
    return Interval(mean, mean - half, mean + half)


def _total(effects: Sequence[Effect]) -> Interval:
    kept = [each for each in effects if each.calls]
    estimate = sum(each.calls * each.saved_ms.estimate for each in kept)
    if any(each.n < FEWEST for each in kept):
        return Interval(estimate)
    parts = [each.calls**2 * each.variance for each in kept]
    total = sum(parts)
    if total == 0:
        return Interval(estimate, estimate, estimate)
    freedom = total**2 / sum(part**2 / (each.n - 1) for part, each in zip(parts, kept, strict=True))
    half = float(np.sqrt(total)) * _quantile(freedom)
    return Interval(estimate, estimate - half, estimate + half)


def _quantile(freedom: float) -> float:
    return float(stdtrit(freedom, (1 + CONFIDENCE) / 2))


def _negated(interval: Interval) -> Interval:
    low, high = interval.low, interval.high
    return Interval(-interval.estimate, None if high is None else -high, None if low is None else -low)


def _parts(interval: Interval) -> tuple[float, float | None, float | None]:
    return interval.estimate, interval.low, interval.high


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown
