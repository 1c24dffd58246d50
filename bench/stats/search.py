"""Where to probe next for the highest rate that meets an objective.  Pure: what is next follows from what there is.

The rate is doubled until the objective breaks, or halved until it holds.  From then on probes go to the ends of the
interval that all of them give together (``bench.stats.knee``), below its middle and above it in turn, so that the limit is
approached from either side.  Where they contradict each other so much that there is no interval, the next one goes between
the highest rate that held and the lowest that broke.  The search ends when the interval was narrow enough before and after
a last probe.

A rate at which the generator was not fit to measure is no limit of the server.  It is a ceiling for the search, which then
ends below it, with a bound from below for an answer.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bench.stats.knee import FAR, Trial, find_knee


@dataclass(frozen=True, slots=True)
class Search:
    """How to search; ``allowed`` is the share of requests that may be over the limit, rates are per second.

    ``tolerance`` is how much the upper end of the interval may be above the lower one, as a share of it.
    """

    start: float
    lowest: float
    highest: float
    allowed: float
    tolerance: float = 0.15
    growth: float = 2.0


def next_rate(search: Search, trials: Sequence[Trial], ceiling: float | None = None) -> float | None:
    """Return the rate to probe next; None when the search is done.  ``trials`` leaves out what the generator spoilt."""
    top = min(search.highest, ceiling or math.inf)
    if not trials:
        return search.start if search.start < top else _halved(search, top)
    knee = find_knee(trials, search.allowed)
    if knee.high is None or knee.low is None:
        held, broken = _edge(trials, search.allowed)
        if held and broken and math.sqrt(held * broken) < top:
            # Where the edge is known as well as it is asked for, and the lower end is not, only lower rates can tell it.
            is_sharp = broken / held <= 1 + search.tolerance and knee.low is None
            lower = _halved(search, min(trial.rate for trial in trials)) if is_sharp else None
            return lower or math.sqrt(held * broken)
    if knee.high is None:
        return _upwards(search, max(trial.rate for trial in trials), ceiling)
    if knee.low is None or knee.estimate is None:
        return _halved(search, min(trial.rate for trial in trials))
    if max(knee.width, find_knee(trials[:-1], search.allowed).width) <= 1 + search.tolerance:
        return None
    end = knee.low if len(trials) % 2 else knee.high
    wanted = math.sqrt(end * knee.estimate)
    return wanted if wanted < top else math.sqrt(knee.low * knee.estimate)


def _edge(trials: Sequence[Trial], allowed: float) -> tuple[float | None, float | None]:
    """Return the highest rate that held below the lowest that broke by far, and that one; None for what there is not.

    Probes that contradict each other, as beside another program's work, can make the interval wider than all rates that
    were tried.  What is wanted then is more of them where it changes, not ever higher rates.
    """
    broken = min((trial.rate for trial in trials if trial.share > FAR * allowed), default=math.inf)
    held = max((trial.rate for trial in trials if trial.rate < broken and trial.share <= allowed), default=None)
    return held, broken if broken < math.inf else None


def _upwards(search: Search, tried: float, ceiling: float | None) -> float | None:
    if ceiling is not None:
        return math.sqrt(tried * ceiling) if ceiling > tried * (1 + search.tolerance) else None
    return min(search.highest, tried * search.growth) if tried < search.highest else None


def _halved(search: Search, rate: float) -> float | None:
    return max(search.lowest, rate / search.growth) if rate > search.lowest else None


def grid_probes(start: float, limit: float, step: float = 0.05) -> int:
    """Return how many probes a plain grid takes from ``start`` to the first rate at or beyond ``limit``.

    >>> grid_probes(10, 100)
    49
    """
    return 1 + max(0, math.ceil(math.log(limit / start) / math.log(1 + step)))
