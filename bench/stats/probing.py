"""Does one rate meet the objective?  A test that may be looked at while the probe goes on.  Pure.

Of the requests of a probe a share is *over*: slower than the limit, given up, or dropped.  For an objective such as p99 < x
the question is whether the true share is below or above 1 %.  Two things make a plain binomial test wrong here, and both are
met:

- Requests that follow each other are alike: a queue makes a hundred of them slow at once.  So the counts are divided by the
  *design effect*, the variance of batches of seconds over that of independent requests, before the exact binomial
  (Clopper-Pearson) bounds are taken (Korn and Graubard, "Confidence intervals for proportions
  with small expected number of positive counts estimated from survey data", Survey Methodology 24, 1998).  Batches grow while
  there are enough of them (batch means: Law, "Simulation Modeling and Analysis", chapter 9) and the largest effect counts.
  It is also taken of requests over a lower threshold, because where none is over the limit yet, how they come in bursts can
  only be seen there.
- The probe ends as soon as the answer is clear.  It is looked at a few times only, at seconds that grow geometrically, and
  each look may err with an equal part of the probe's error (Bonferroni).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from bench.stats.knee import Trial
from bench.units import format_ms

Ints = npt.NDArray[np.int64]
Clear = Literal["held", "broke", "unclear"]

FIRST_LOOK_S = 5
LOOK_GROWTH = 1.5
ERROR = 0.025
"""Of a probe, on either side."""
UNKNOWN_EFFECT = 20.0
"""Of a probe too short to show its design effect: what is clear all the same is clear."""
_LEAST_BATCHES = 8
_FEW = 30
_CLEAR_GROWTH_SD = 3.0


@dataclass(frozen=True, slots=True)
class Objective:
    """What has to hold at a rate.

    ``percent`` of the requests are to be faster than ``limit_ms``, counting those without an answer as slower; at least
    ``answered_share`` of the sessions offered are to be answered as fast as they come, none dropped, and at most
    ``failed_share`` of the requests may fail.  ``transaction`` and ``region`` name what it is about; None means all of them.
    """

    limit_ms: float
    percent: float = 99.0
    transaction: str | None = None
    answered_share: float = 0.98
    failed_share: float = 0.001
    region: str | None = None

    @property
    def over_share(self) -> float:
        """The share of requests that may be over the limit."""
        return 1 - self.percent / 100

    def describe(self) -> str:
        """Return the objective in words."""
        who = self.transaction or "all transactions"
        where = f" in {self.region}" if self.region else ""
        return f"{who}{where} response p{self.percent:g} < {format_ms(self.limit_ms)}"


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """A probe's measured seconds: requests that ended, those over the limit, and those over a lower threshold.

    Sessions: ``offered`` and ``answered`` within the measured time, ``before`` in the system at its start and ``after`` at
    its end; ``dropped`` were never begun.  ``failed`` of the requests were given up.
    """

    requests: Ints
    over: Ints
    slow: Ints
    offered: int
    answered: int
    before: int
    after: int
    dropped: int = 0
    failed: int = 0

    @property
    def seconds(self) -> int:
        """Measured seconds."""
        return len(self.requests)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a probe says: the share over the limit with its bounds, what it rests on, and in words what was decisive."""

    verdict: Clear
    share: float | None
    low: float
    high: float
    design_effect: float
    reason: str
    is_time: bool
    """Whether the response times decided, and not what was dropped, failed or left waiting."""

    def trial(self, rate: float, counts: Counts) -> Trial:
        """Return the probe as the search takes it: whatever broke the objective counts as over the limit."""
        requests = int(counts.requests.sum())
        over = int(counts.over.sum()) if self.is_time else requests
        return Trial(rate, requests, over, self.design_effect)


def looks(longest_s: int) -> tuple[int, ...]:
    """Return the seconds after which a probe of at most this length is looked at.

    >>> looks(30)
    (5, 8, 12, 18, 27, 30)
    """

    def grow() -> Iterator[int]:
        at = float(min(FIRST_LOOK_S, longest_s))
        while at < longest_s:
            yield math.ceil(at)
            at = math.ceil(at) * LOOK_GROWTH
        yield longest_s

    return tuple(dict.fromkeys(math.floor(at) if at == longest_s else at for at in grow()))


def judge_counts(counts: Counts, objective: Objective, looked: int = 1) -> Judgement:
    """Return what the counts say; ``looked`` is how often the probe may be looked at in all."""
    requests, over = int(counts.requests.sum()), int(counts.over.sum())
    error = ERROR / looked
    share = over / requests if requests else None
    effect = design_effect(counts)
    low, high = bounds(over, requests, effect, error)

    def say(verdict: Clear, reason: str, *, is_time: bool = True) -> Judgement:
        return Judgement(verdict, share, low, high, effect, reason, is_time)

    broken = _broken(counts, objective, requests, error)
    if broken:
        return say("broke", broken, is_time=False)
    allowed = objective.over_share
    if low > allowed:
        return say("broke", f"{_percent(over / requests)} of requests over the limit, {_percent(allowed)} allowed")
    if high < allowed:
        return say("held", f"{_percent(over / requests)} of requests over the limit, {_percent(allowed)} allowed")
    return say("unclear", f"the share over the limit is between {_percent(low)} and {_percent(high)}")


def _broken(counts: Counts, objective: Objective, requests: int, error: float) -> str:
    """Return what breaks the objective beside the response time; empty when nothing clearly does."""
    if counts.dropped:
        return f"{counts.dropped:,} arrivals dropped"
    if requests and bounds(counts.failed, requests, 1.0, error)[0] > objective.failed_share:
        return f"{counts.failed:,} of {requests:,} requests failed"
    short = counts.offered * objective.answered_share - counts.answered
    # In a steady state the number in the system at two moments is about Poisson each (M/G/infinity), so it differs by chance.
    chance = _CLEAR_GROWTH_SD * math.sqrt(counts.before + counts.after + 1)
    if short > chance:
        return f"{counts.answered:,} of {counts.offered:,} sessions answered while they came, and a queue grew"
    return ""


def bounds(count: int, total: int, effect: float, error: float) -> tuple[float, float]:
    """Return one-sided bounds of a share, each wrong with ``error``: Clopper and Pearson's on the effective numbers."""
    if not total:
        return 0.0, 1.0
    some, whole = count / effect, total / effect
    low = float(stats.beta.ppf(error, some, whole - some + 1)) if count else 0.0
    high = float(stats.beta.ppf(1 - error, some + 1, max(whole - some, 1e-9))) if count < total else 1.0
    return low, high


def design_effect(counts: Counts) -> float:
    """Return how many times as much the counts vary as those of independent requests would; at least 1."""
    # Where few are over the limit yet, their bursts can only be seen at a lower threshold.
    hits = counts.over if counts.over.sum() >= _FEW else counts.slow
    return max(_effects(hits, counts.requests), default=UNKNOWN_EFFECT)


def _effects(hits: Ints, requests: Ints) -> Iterator[float]:
    total = int(requests.sum())
    share = float(hits.sum()) / total if total else 0.0
    if not 0 < share < 1:
        return
    excess = hits - share * requests
    size = 1
    while len(excess) // size >= _LEAST_BATCHES:
        batches = len(excess) // size
        # From the end: a remainder at the front is nearest to the warm-up.
        sums = excess[len(excess) - batches * size :].reshape(batches, size).sum(axis=1)
        yield max(1.0, float(sums.var(ddof=1)) * batches / (total * share * (1 - share)))
        size *= 2


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %"
