"""Two runs side by side: ratios with intervals, and the word "can't tell" where that is the truth.  Pure.

The figures of one run are compared with those of one or several earlier runs of the same thing.  Three things make two runs
of the same thing differ: their samples, what each run brings of its own (cache state, the layout of memory, plans), and how
fast the machine was just then.  The last moves all times together, so it is taken out: a time is judged by how it moved
against the median statement of its run, and that common shift is a row of its own, with a wider interval.

What a run brings of its own is a floor by kind of figure.  It grows with what the comparison itself shows: where half of the
figures of one kind moved more than they should, the machine did it and not the one statement that was changed (Efron,
"Large-scale simultaneous hypothesis testing: the choice of a null hypothesis", JASA 99, 2004).  Several earlier runs tell
more: their variance is estimated for each figure and shrunk towards that of its kind (Smyth, "Linear models and empirical
Bayes methods for assessing differential expression", Statistical Applications in Genetics and Molecular Biology 3, 2004).
Over the many figures of one comparison the words are held to one error rate (Holm, Scandinavian Journal of Statistics 6,
1979).

Times that the client took and times that the server took are moved by different things, so each has its own common shift.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats
from scipy.special import stdtr, stdtrit

from bench.stats.comparison_measures import METRICS, Key, Measure, Measures, Metric

Word = Literal["faster", "slower", "better", "worse", "no difference", "can't tell"]

Trust = Literal["all", "unsteady", "none"]
"""Of VALID runs all figures; the common speed of a DEGRADED one says little, and an INVALID one shows a lost plan at most."""

LOST_PLAN = 10.0
"""How many times as many blocks a call reads that only a plan can explain.  On a machine without a free core transactions
stay open for longer, so versions of much updated rows are not pruned: equal runs on one read up to three times as many."""

JUDGED_COUNT = 150
"""A figure of fewer samples is shown, but no gate rests on it."""
MARGIN = 0.10
"""An interval inside this much either way is "no difference"."""
ERROR_RATE = 0.02
"""Of a whole comparison of two runs of the same thing: how often a word other than these two may appear, either way."""
CONFIDENCE = 0.95
_POWER_REACH = float(stats.norm.ppf(0.8))
SHIFT_FLOOR = 0.08
"""How much the speed of one machine differs from run to run (relative standard deviation)."""
SHIFT = Key("statement", "all statements together", None, "quick_ms")
_PRIOR_RUNS = 20.0
"""As how many runs' worth the variance of a kind of figure counts beside that of one figure."""
_PRIOR_SHIFT_RUNS = 4.0
ONE_RUN_FREEDOM = 15.0
_DISK = 0.3
"""How much commits differ from run to run beyond other statements: they wait for the disk, which others use as well."""
_SEEN = (0.5, 0.8)
"""Where squares are held against what is expected: not higher, where a few real changes would show."""
_ANCHORS = 5
_UNSTEADY = 4.0
_UNEVEN = 0.4
"""A machine twice as slow is not that for all statements: a commit waits for the disk.  By how much of the common shift
statements differ in it (standard deviation)."""

_TYPICAL = SHIFT.metric

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure before and after: the ratio as measured, and its effect with an interval.

    ``effect``, ``low`` and ``high`` are ratios of after to before; those of times are against the common shift of all
    statements.  ``p_value`` is two-sided and of this row alone; ``detectable`` is the smallest worsening (as a ratio) that
    would be seen four times in five among as many rows.  ``worst`` is the one-sided 95 % bound of the worsening; ``count``
    is the smallest number of samples of any run.
    """

    key: Key
    before: float
    after: float
    ratio: float
    effect: float
    low: float
    high: float
    worst: float
    p_value: float
    detectable: float
    count: int
    word: Word

    @property
    def metric(self) -> Metric:
        """What kind of figure it is."""
        return METRICS[self.key.metric]

    @property
    def is_of_a_plan(self) -> bool:
        """Whether it reads so much more or less that it is another plan, however busy the machine was."""
        return self.key.metric == "blocks" and (self.low >= LOST_PLAN or self.high <= 1 / LOST_PLAN)

    @property
    def worsening(self) -> float:
        """The effect turned so that more than 1 is worse."""
        return 1 / self.effect if self.metric.more_is_better else self.effect


@dataclass(frozen=True, slots=True)
class Comparison:
    """All rows; ``shift`` is how all statements moved together, None where there were too few of them.

    ``gone`` and ``new`` are what only one side has, of those with at least ``JUDGED_COUNT`` samples.
    """

    rows: tuple[Row, ...]
    shift: Row | None
    gone: tuple[Key, ...]
    new: tuple[Key, ...]

    @property
    def words(self) -> tuple[Word, ...]:
        """The words of all rows."""
        return tuple(row.word for row in (*self.rows, *([self.shift] if self.shift else [])))


@dataclass(frozen=True, slots=True)
class _Estimate:
    """Logarithms: the effect, its standard error and that error's degrees of freedom."""

    effect: float
    error: float
    freedom: float

    @property
    def p_value(self) -> float:
        return float(2 * stdtr(self.freedom, -abs(self.effect) / self.error))

    def reach(self, tail: float) -> float:
        return -float(stdtrit(self.freedom, tail)) * self.error


def compare(before: Sequence[Measures], after: Measures, *, trust: Trust = "all") -> Comparison:
    """Compare the measures of a run with those of earlier ones (at least one), as far as the runs can be trusted."""
    shared = set.intersection(set(after), *(set(each) for each in before))
    keys = sorted(shared, key=_order)
    gone = _left_over(before, [after])
    new = _left_over([after], before)
    if not keys:
        return Comparison((), None, gone, new)
    table = _Table(keys, before, after)
    shift = table.shift(1.0 if trust == "all" else _UNSTEADY)
    estimates = [table.estimate(place) for place in range(len(keys))]
    rows = [
        _row(key, [each[key] for each in before], after[key], estimate, len(keys))
        for key, estimate in zip(keys, estimates, strict=True)
    ]
    if shift is not None:
        rows.append(_row(SHIFT, [Measure(1.0, 0.0, 0)], Measure(float(np.exp(shift.effect)), 0.0, 0), shift, 1))
    # Of the error rate a quarter is for the common shift, which is one row and weighs as much as many.
    clear = significant([row.p_value for row in rows[: len(keys)]], 0.75 * ERROR_RATE)
    clear += [row.p_value <= 0.25 * ERROR_RATE for row in rows[len(keys) :]]
    words = (_word(row, is_clear, trust) for row, is_clear in zip(rows, clear, strict=True))
    worded = [replace(row, word=word) for row, word in zip(rows, words, strict=True)]
    return Comparison(tuple(worded[: len(keys)]), worded[len(keys)] if shift is not None else None, gone, new)


def _left_over(ones: Sequence[Measures], others: Sequence[Measures]) -> tuple[Key, ...]:
    """Return what each of ``ones`` has plenty of, and none of the others has at all."""
    plenty = [{key for key, measure in each.items() if measure.count >= JUDGED_COUNT} for each in ones]
    return tuple(sorted(set.intersection(*plenty).difference(*others), key=_order))


def significant(p_values: Sequence[float], rate: float) -> list[bool]:
    """Return which of many tests are significant together at an error rate (Holm's step-down).

    >>> significant([0.001, 0.04, 0.03], 0.05)
    [True, False, False]
    """
    found = [False] * len(p_values)
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[place] > rate / (len(p_values) - rank):
            break
        found[place] = True
    return found


@dataclass(frozen=True, slots=True)
class _Side:
    """The times of one side, client or server, and which of them show how it moved as a whole; masks over the figures."""

    times: Bools
    anchors: Bools

    def shifts(self, deviations: Floats) -> Floats:
        """Return the median over the anchors of each run; 0 where there are too few."""
        rows = np.atleast_2d(deviations)[:, self.anchors]
        common: Floats = np.median(rows, axis=1) if self.anchors.sum() >= _ANCHORS else np.zeros(len(rows))
        return common


class _Table:
    """Logarithms of the shared figures: a row for each earlier run, and the later one."""

    def __init__(self, keys: Sequence[Key], before: Sequence[Measures], after: Measures) -> None:
        self.runs = len(before)
        metrics = [METRICS[key.metric] for key in keys]
        self.metrics = np.array([key.metric for key in keys])
        self.is_time = np.array([metric.is_time for metric in metrics])
        values = np.log([[each[key].value for key in keys] for each in before])
        later = np.log([after[key].value for key in keys])
        errors = np.array([[each[key].error for key in keys] for each in (*before, after)])
        middle = values.mean(axis=0)
        is_server = np.array([key.group == "server" for key in keys])
        sides = (
            _Side(self.is_time & ~is_server, np.array([key.metric == _TYPICAL for key in keys])),
            _Side(self.is_time & is_server, self.is_time & is_server),
        )
        self.anchored = sides[0].anchors.sum() >= _ANCHORS
        self.speeds = sides[0].shifts(values - middle)
        self.speed = float(sides[0].shifts(later - middle)[0])
        self.deviations = values - middle - sum(np.outer(side.shifts(values - middle), side.times) for side in sides)
        common = np.sum([side.shifts(later - middle)[0] * side.times for side in sides], axis=0)
        self.effects = later - middle - common
        self.expected = np.array([metric.floor for metric in metrics]) ** 2 + (errors**2).mean(axis=0)
        self.expected += np.array([_DISK * key.name.endswith("/COMMIT") for key in keys]) ** 2 * self.is_time
        self.expected += (_UNEVEN * common) ** 2 / (1 + 1 / self.runs)
        self.variances, self.freedom = self._variances()

    def _variances(self) -> tuple[Floats, float]:
        """Return the variance of one run's figures, and its degrees of freedom."""
        spare = self.runs - 1
        shown = np.maximum(1.0, self._factors(self.effects**2 / self.expected / (1 + 1 / self.runs), 1))
        if not spare:
            return self.expected * shown, ONE_RUN_FREEDOM
        own = (self.deviations**2).sum(axis=0) / spare
        prior = self.expected * np.maximum(shown, self._factors(own / self.expected, spare))
        return (_PRIOR_RUNS * prior + spare * own) / (_PRIOR_RUNS + spare), _PRIOR_RUNS + spare

    def _factors(self, ratios: Floats, freedom: int) -> Floats:
        """Return how large squares are against those expected, by kind of figure, in their middle and at 80 %."""
        expected = stats.chi2.ppf(_SEEN, freedom) / freedom
        factors = np.ones(len(ratios))
        for metric in np.unique(self.metrics):
            mine = self.metrics == metric
            like = mine if mine.sum() >= _ANCHORS else self.is_time == self.is_time[np.argmax(mine)]
            factors[mine] = (np.quantile(ratios[like], _SEEN) / expected).max()
        return factors

    def estimate(self, place: int) -> _Estimate:
        """Return the effect on one figure."""
        error = float(np.sqrt(self.variances[place] * (1 + 1 / self.runs)))
        return _Estimate(float(self.effects[place]), error, self.freedom)

    def shift(self, widen: float) -> _Estimate | None:
        """Return how all times of the client moved together; the floor of it is widened for runs that were not steady."""
        if not self.anchored:
            return None
        spare = self.runs - 1
        own = float((self.speeds**2).sum())
        variance = (_PRIOR_SHIFT_RUNS * (widen * SHIFT_FLOOR) ** 2 + own) / (_PRIOR_SHIFT_RUNS + spare)
        freedom = _PRIOR_SHIFT_RUNS + spare if spare else ONE_RUN_FREEDOM
        return _Estimate(self.speed, float(np.sqrt(variance * (1 + 1 / self.runs))), freedom)


def _order(key: Key) -> tuple[int, str, bool, str, int]:
    groups = ("transaction", "statement", "server")
    region = key.region or ""
    return groups.index(key.group), key.name, key.region is not None, region, list(METRICS).index(key.metric)


def _row(key: Key, before: Sequence[Measure], after: Measure, estimate: _Estimate, rows: int) -> Row:
    start = float(np.exp(np.mean([np.log(each.value) for each in before])))
    reach = estimate.reach((1 - CONFIDENCE) / 2)
    worse = -estimate.effect if METRICS[key.metric].more_is_better else estimate.effect
    return Row(
        key,
        start,
        after.value,
        after.value / start,
        float(np.exp(estimate.effect)),
        float(np.exp(estimate.effect - reach)),
        float(np.exp(estimate.effect + reach)),
        float(np.exp(worse + estimate.reach(1 - CONFIDENCE))),
        estimate.p_value,
        float(np.exp(estimate.reach(ERROR_RATE / 2 / rows) + _POWER_REACH * estimate.error)),
        min(each.count for each in (*before, after)),
        "can't tell",
    )


def _word(row: Row, is_clear: bool, trust: Trust) -> Word:
    if trust == "none" and not row.is_of_a_plan:
        return "can't tell"
    if is_clear and row.metric.is_time:
        return "slower" if row.effect > 1 else "faster"
    if is_clear:
        return "worse" if row.worsening > 1 else "better"
    margin = MARGIN * row.metric.scale
    return "no difference" if 1 / (1 + margin) <= row.low and row.high <= 1 + margin else "can't tell"
