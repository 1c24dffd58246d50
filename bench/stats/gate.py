"""The verdict of a gate: PASS, FAIL or INCONCLUSIVE, and what it could have seen.  Pure.

FAIL: a judged figure got worse, beyond chance (one error rate over all judged figures) and beyond the tolerance, or an
objective does not hold.  PASS: for each judged figure, a worsening of the size that the gate is to detect is ruled out (the
one-sided 95 % bound lies below it).  Each of them has to be ruled out, so the chance of passing a run with one such worsening
is 5 % at most, however many there are (an intersection-union test: Berger, Technometrics 24, 1982).  Else INCONCLUSIVE.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from bench.errors import ExitCode
from bench.stats.comparison import ERROR_RATE, JUDGED_COUNT, SHIFT, Comparison, Row, significant
from bench.stats.comparison_measures import METRICS, Key
from bench.stats.records import ObjectiveRow

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID", "DATA WRONG"]
Outcome = Literal["passed", "failed", "unclear"]

JUDGED_MS = 0.05
"""Times below this are more the client's own than the server's, and a third of one is nobody's trouble."""
_FRAME = frozenset({"BEGIN", "COMMIT", "ROLLBACK"})
TOLERANCE = 0.10
DETECT = 0.30

CODES: dict[Verdict, ExitCode] = {
    "PASS": ExitCode.OK,
    "FAIL": ExitCode.OBJECTIVE_FAILED,
    "INCONCLUSIVE": ExitCode.INCONCLUSIVE,
    "INVALID": ExitCode.NOT_VALID,
    "DATA WRONG": ExitCode.DATA_WRONG,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """A worsening below ``tolerance`` never fails (0.1 is 10 %); one of ``detect`` must be ruled out to pass."""

    tolerance: float = TOLERANCE
    detect: float = DETECT


@dataclass(frozen=True, slots=True)
class Fitness:
    """Whether a run can be judged at all: how it ended, the verdict on its measurement, the rules of the audit that broke."""

    status: str
    validity: str
    reasons: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    audited: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was judged, named as in a test report."""

    name: str
    outcome: Outcome
    text: str


@dataclass(frozen=True, slots=True)
class Sight:
    """The smallest worsening (0.2 is 20 %) that would have been seen: of the middle figure of a kind and of the worst."""

    metric: str
    figures: int
    typical: float
    worst: float
    worst_name: str


@dataclass(frozen=True, slots=True)
class Gate:
    """The verdict and what it rests on; ``unjudged`` counts figures with too few samples or too little time."""

    verdict: Verdict
    reasons: tuple[str, ...]
    checks: tuple[Check, ...]
    sights: tuple[Sight, ...]
    unjudged: int
    limits: Limits

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that says so."""
        return CODES[self.verdict]


def decide(fitness: Fitness, objectives: Sequence[ObjectiveRow], comparison: Comparison, limits: Limits) -> Gate:
    """Return the verdict on a run."""
    unfit = _unfit(fitness)
    if unfit is not None:
        return _refused(*unfit, fitness, comparison, limits)
    judged = [row for row in comparison.rows if row.metric.is_judged]
    rows = [row for row in judged if _is_worth_it(row)]
    whole = [*rows, *([comparison.shift] if comparison.shift else [])]
    clear = _clear(whole)
    checks = [_objective(row) for row in objectives]
    checks += [_check(row, is_clear, limits) for row, is_clear in zip(whole, clear, strict=True)]
    checks += [Check(row_name(key), "unclear", "is not in this run") for key in comparison.gone if _counts(key)]
    if not whole:
        checks.append(Check("comparison", "unclear", f"no figure has {JUDGED_COUNT} samples in each run"))
    verdict = _verdict(checks)
    return Gate(verdict, _reasons(checks), tuple(checks), _sights(whole), len(judged) - len(rows), limits)


def _refused(verdict: Verdict, text: str, fitness: Fitness, comparison: Comparison, limits: Limits) -> Gate:
    """Return the verdict on a run that is not fit: never PASS.

    A lost index can make a machine so busy that nothing can be measured on it, and then what its statements read tells why:
    that is a FAIL.
    """
    rows = [row for row in comparison.rows if row.is_of_a_plan and _is_worth_it(row)]
    checks = [_check(row, clear, limits) for row, clear in zip(rows, _clear(rows), strict=True)]
    worse = [check for check in checks if check.outcome == "failed"]
    unfit = Check("run", "failed", text)
    if verdict == "INVALID" and fitness.status == "complete" and worse:
        return Gate("FAIL", (*_reasons(worse), text, *fitness.reasons), (unfit, *worse), (), 0, limits)
    return Gate(verdict, (text, *fitness.reasons), (unfit,), (), 0, limits)


def row_name(key: Key) -> str:
    """Return a figure's name for people.

    >>> row_name(Key("statement", "checkout/insert_order", None, "quick_ms"))
    'statement checkout/insert_order: quick'
    """
    if key == SHIFT:
        return SHIFT.name
    place = f" in {key.region}" if key.region else ""
    return f"{key.group} {key.name}{place}: {METRICS[key.metric].label}"


def percent(ratio: float) -> str:
    """Return a ratio as a change.

    >>> percent(1.305), percent(0.98), percent(14.2)
    ('+30 %', '-2 %', '14 x')
    """
    return f"{ratio:.0f} x" if ratio >= 3 else f"{100 * (ratio - 1):+.0f} %"


def _unfit(fitness: Fitness) -> tuple[Verdict, str] | None:
    if fitness.broken:
        return "DATA WRONG", f"the audit found the data wrong: {', '.join(fitness.broken)}"
    if fitness.status != "complete":
        return "INVALID", f"the run did not go through its schedule: {fitness.status}"
    if fitness.validity == "INVALID":
        return "INVALID", "the generator was not fit to measure"
    return None if fitness.audited else ("INVALID", "the data was not audited")


def _clear(rows: Sequence[Row]) -> list[bool]:
    """Return which rows differ beyond chance.

    The error rate is divided: a quarter for the common shift, half for times, a quarter for counts (far steadier).
    """
    kinds = [("shift", 0.25), ("time", 0.5), ("count", 0.25)]
    found = [False] * len(rows)
    for kind, part in kinds:
        mine = [place for place, row in enumerate(rows) if _kind(row) == kind]
        clear = significant([rows[place].p_value for place in mine], part * ERROR_RATE)
        for place, is_clear in zip(mine, clear, strict=True):
            found[place] = is_clear
    return found


def _kind(row: Row) -> str:
    return "shift" if row.key == SHIFT else "time" if row.metric.is_time else "count"


def _is_worth_it(row: Row) -> bool:
    if row.count < JUDGED_COUNT:
        return False
    # How long a commit takes is the disk's affair; what it writes shows in the WAL of the statements before it.
    is_own = row.key.name.rpartition("/")[2] not in _FRAME
    return not row.metric.is_time or (is_own and max(row.before, row.after) >= JUDGED_MS)


def _counts(key: Key) -> bool:
    """Whether the loss of a figure is news; of one statement one figure is enough."""
    return key.metric in ("quick_ms", "blocks", "goodput_per_s")


def _objective(row: ObjectiveRow) -> Check:
    outcome: Outcome = "passed" if row.passed else "failed"
    return Check(f"objective {row.objective}", outcome, row.text)


def _check(row: Row, is_clear: bool, limits: Limits) -> Check:
    scale = row.metric.scale
    text = (
        f"{percent(row.effect)} ({percent(row.low)} to {percent(row.high)})"
        f"{'' if row.effect == row.ratio else ' against the common shift'}; would have seen {percent(row.detectable)}"
    )
    if is_clear and row.worsening > 1 + limits.tolerance * scale:
        return Check(row_name(row.key), "failed", text)
    # Of what is better when more, a worsening of 30 % is a ratio of 1 / 1.3 here; near enough, and on the safe side.
    seen = row.worst <= 1 + limits.detect * scale
    return Check(row_name(row.key), "passed" if seen else "unclear", text)


def _verdict(checks: Sequence[Check]) -> Verdict:
    outcomes = {check.outcome for check in checks}
    return "FAIL" if "failed" in outcomes else "INCONCLUSIVE" if "unclear" in outcomes else "PASS"


def _reasons(checks: Sequence[Check]) -> tuple[str, ...]:
    """Return why it did not pass: what failed, or else what is unclear."""
    for outcome in ("failed", "unclear"):
        found = [f"{check.name}: {check.text}" for check in checks if check.outcome == outcome]
        if found:
            return tuple(found)
    return ()


def _sights(rows: Sequence[Row]) -> tuple[Sight, ...]:
    found = []
    for metric in dict.fromkeys((row.key == SHIFT, row.key.metric) for row in rows):
        mine = [row for row in rows if (row.key == SHIFT, row.key.metric) == metric]
        worst = max(mine, key=lambda row: row.detectable)
        label = SHIFT.name if metric[0] else METRICS[metric[1]].label
        middle = median(row.detectable for row in mine)
        found.append(Sight(label, len(mine), middle - 1, worst.detectable - 1, worst.key.name))
    return tuple(found)
