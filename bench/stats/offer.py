"""Planned against realised: the mix of sessions, and the phases.  Pure; scipy is imported where it is needed.

Sessions of an open model are Poisson counts, so the sum over them of (offered - planned)² / planned is distributed as
chi-square with as many degrees of freedom as there are sessions (Pearson 1900).  In a closed model only the mix is planned:
the plan is then the share of each session times all sessions offered, and one degree of freedom is lost.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.metrics.frame import ArrivalCell, TransactionCell
from bench.stats.merge import SESSION_PREFIX
from bench.stats.phases import Phase

MIX_DOUBTFUL_P = 0.0001
"""An offered mix as far from the plan as this happens once in ten thousand sound runs."""


@dataclass(frozen=True, slots=True)
class PlannedOffer:
    """How many sessions of a kind a phase is expected to offer in one region (in a closed model: their weight)."""

    phase: str
    session: str
    region: str
    expected: float


@dataclass(frozen=True, slots=True)
class MixRow:
    """One kind of session in the measured phases: shares are of all sessions planned, offered and answered.

    ``deviation`` is (offered - planned) in standard deviations of a Poisson count; None where nothing was planned.
    """

    session: str
    planned: float
    offered: int
    answered: int
    planned_share: float | None
    offered_share: float | None
    answered_share: float | None
    deviation: float | None


@dataclass(frozen=True, slots=True)
class Mix:
    """Planned and realised mix, and how likely a sound generator is to be as far from its plan (None: not testable)."""

    rows: tuple[MixRow, ...]
    chi_square: float | None
    degrees: int
    p_value: float | None

    @property
    def is_doubtful(self) -> bool:
        """Whether the mix is not the one that was asked for."""
        return self.p_value is not None and self.p_value < MIX_DOUBTFUL_P


@dataclass(frozen=True, slots=True)
class Executed:
    """When the sessions of a phase fell due, to the frame: from the start of the first to the end of the last."""

    phase: str
    from_s: float
    to_s: float
    offered: int


@dataclass(frozen=True, slots=True)
class PhaseRow:
    """One phase as planned and as executed; what did not take place is None."""

    phase: str
    measured: bool
    planned_from_s: float
    planned_to_s: float
    planned: float | None
    from_s: float | None
    to_s: float | None
    offered: int


def phase_rows(
    phases: Sequence[Phase], planned: Sequence[PlannedOffer], executed: Iterable[Executed], *, is_open: bool
) -> tuple[PhaseRow, ...]:
    """Return each phase beside what became of it; how many sessions were planned is known in an open model only."""
    seen = {row.phase: row for row in executed}
    rows = []
    for phase in phases:
        expected = [offer.expected for offer in planned if offer.phase == phase.name]
        total = math.fsum(expected) if expected and is_open else None
        found = seen.get(phase.name)
        times = (found.from_s, found.to_s, found.offered) if found else (None, None, 0)
        rows.append(PhaseRow(phase.name, phase.measured, phase.start_s, phase.end_s, total, *times))
    return tuple(rows)


@dataclass(frozen=True, slots=True)
class Offered:
    """What ``mix`` compares: the plan, the arrivals and the sessions, and when a run stopped short (None: it did not)."""

    phases: Sequence[Phase]
    planned: Sequence[PlannedOffer]
    arrivals: Iterable[ArrivalCell]
    sessions: Iterable[TransactionCell]
    end_s: float | None
    is_open: bool


def mix(given: Offered) -> Mix | None:
    """Return the planned and the realised mix over the measured phases that took place whole; None without a plan."""
    end = math.inf if given.end_s is None else given.end_s
    whole = {phase.name for phase in given.phases if phase.measured and phase.end_s <= end}
    weights = [offer for offer in given.planned if offer.phase in whole]
    if not weights:
        return None
    cells = [cell for cell in given.arrivals if cell.phase in whole]
    offered: Counter[str] = Counter()
    for cell in cells:
        offered[cell.session] += cell.offered
    answered: Counter[str] = Counter()
    for session in given.sessions:
        if session.phase in whole and session.kind != "failure":
            answered[session.name.removeprefix(SESSION_PREFIX)] += session.count
    planned = _expected(weights, cells, is_open=given.is_open)
    names = sorted({*planned, *offered, *answered}, key=lambda name: (-planned.get(name, 0.0), name))
    rows = tuple(_mix_row(name, planned, offered, answered) for name in names)
    return _tested(rows, 0 if given.is_open else 1)


def _expected(weights: Iterable[PlannedOffer], cells: Sequence[ArrivalCell], *, is_open: bool) -> dict[str, float]:
    """Sessions expected by name; in a closed model the weights of each phase share out what that phase offered."""
    by_phase: defaultdict[str, defaultdict[str, float]] = defaultdict(lambda: defaultdict(float))
    expected: defaultdict[str, float] = defaultdict(float)
    for offer in weights:
        by_phase[offer.phase][offer.session] += offer.expected
    for phase, sessions in by_phase.items():
        offered = sum(cell.offered for cell in cells if cell.phase == phase)
        whole = sum(sessions.values())
        for name, weight in sessions.items():
            part = weight if is_open else (offered * weight / whole if whole else 0.0)
            expected[name] += part
    return expected


def _mix_row(name: str, planned: Mapping[str, float], offered: Counter[str], answered: Counter[str]) -> MixRow:
    expected = planned.get(name, 0.0)
    whole = math.fsum(planned.values())
    deviation = (offered[name] - expected) / math.sqrt(expected) if expected > 0 else None
    return MixRow(
        session=name,
        planned=expected,
        offered=offered[name],
        answered=answered[name],
        planned_share=expected / whole if whole else None,
        offered_share=offered[name] / offered.total() if offered.total() else None,
        answered_share=answered[name] / answered.total() if answered.total() else None,
        deviation=deviation,
    )


def _tested(rows: tuple[MixRow, ...], lost: int) -> Mix:
    tested = [row for row in rows if row.planned > 0]
    degrees = len(tested) - lost
    if any(row.planned == 0 and row.offered for row in rows):
        return Mix(rows, None, degrees, 0.0)  # what was never planned cannot have been offered by chance
    if degrees < 1:
        return Mix(rows, None, 0, None)
    chi_square = math.fsum(row.deviation**2 for row in tested if row.deviation is not None)
    return Mix(rows, chi_square, degrees, chi_square_p(chi_square, degrees))


def chi_square_p(chi_square: float, degrees: int) -> float:
    """Return how likely a chi-square of these degrees of freedom is to be as large."""
    from scipy.special import chdtrc

    return float(chdtrc(degrees, chi_square))
