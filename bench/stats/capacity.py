"""The answer of a search for capacity: probes, limits by region, what limited it, and what follows.  Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.stats.knee import Knee, Trial, find_knee
from bench.stats.limits import Limit, Signs, limits
from bench.stats.littles_law import LittleRow
from bench.stats.probing import Clear, Objective
from bench.stats.sizing import Sizing, size
from bench.stats.usl import Usl, fit_usl
from bench.units import format_share

SHORTFALL = 0.2
"""How far above the recommendation the replay must break the objective."""
Purpose = Literal["search", "replay"]
ProbeVerdict = Literal["held", "broke", "unclear", "generator"]
"""``generator``: the objective was not met, and the instrument was not fit to say whose fault that was."""


@dataclass(frozen=True, slots=True)
class RegionResult:
    """What one region (None: all) did in a probe; its share over the limit, and the trial as the search takes it."""

    region: str | None
    verdict: Clear
    reason: str
    share: float | None
    p50_ms: float | None
    p99_ms: float | None
    goodput_per_s: float | None
    trial: Trial


@dataclass(frozen=True, slots=True)
class Probe:
    """One run at one rate.  ``rate`` is planned, ``offered_per_s`` what came; ``concurrency`` are users at work on
    average."""

    number: int
    purpose: Purpose
    run_id: str
    rate: float
    verdict: ProbeVerdict
    seconds: int
    offered_per_s: float | None
    answered_per_s: float | None
    concurrency: float | None
    orders: int
    sessions: int
    validity: str
    little: LittleRow
    signs: Signs
    regions: tuple[RegionResult, ...]
    ended_early: bool

    @property
    def whole(self) -> RegionResult:
        """All regions together."""
        return self.regions[0]

    def of(self, region: str | None) -> RegionResult:
        """Return what one region did; None is all of them."""
        return next(row for row in self.regions if row.region == region)


@dataclass(frozen=True, slots=True)
class RegionLimit:
    """The limit of a region in sessions a second over *all* regions, and what of them are its own."""

    region: str | None
    share: float
    knee: Knee


@dataclass(frozen=True, slots=True)
class Replay:
    """A probe at the recommendation or above it: what was expected of it and whether it came so."""

    what: str
    rate: float
    run_id: str
    verdict: ProbeVerdict
    as_expected: bool


@dataclass(frozen=True, slots=True)
class Made:
    """Where an answer comes from: what was searched, on what, when, and how probes were made."""

    capacity_id: str
    scenario: str
    question: str
    created_utc: str
    command: str
    bench_version: str
    server: str
    regions: tuple[str, ...]
    distance_ms: dict[str, float]
    cores: int
    warm_up_s: float
    longest_s: int
    took_s: float
    is_fresh: bool
    """Whether every probe began from a fresh copy of the seeded data."""
    workers: int = 1
    """Processes that put the load on."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """The whole answer.  ``ceiling`` is the rate from which on the generator was not fit to measure (None: nowhere)."""

    objective: Objective
    probes: tuple[Probe, ...]
    limits: tuple[RegionLimit, ...]
    ceiling: float | None
    limited_by: tuple[Limit, ...]
    usl: Usl
    sizing: Sizing | None
    orders_per_session: float | None
    replays: tuple[Replay, ...]
    is_finished: bool
    grid_probes: int | None

    @property
    def knee(self) -> Knee:
        """The limit for what the objective is about: one region, or all of them together."""
        return next(limit.knee for limit in self.limits if limit.region == self.objective.region)

    @property
    def weakest(self) -> RegionLimit | None:
        """The region that clearly breaks the objective below the limit of all together; None where none does."""
        if self.objective.region is not None or self.knee.low is None:
            return None
        below = [limit for limit in self.limits[1:] if limit.knee.high is not None and limit.knee.high < self.knee.low]
        return min(below, key=lambda limit: limit.knee.high or 0.0, default=None)

    @property
    def recommended(self) -> float | None:
        """The lower end of the interval: sessions a second."""
        return self.knee.low


def spoilt_from(probes: Sequence[Probe]) -> float | None:
    """Return the lowest rate at which the generator failed twice, or once with nothing that was fit at or above it."""
    spoilt = [probe.rate for probe in probes if probe.verdict == "generator"]
    fit = [probe.rate for probe in probes if probe.verdict != "generator"]
    return min((rate for rate in spoilt if rate not in fit), default=None)


def trials(probes: Sequence[Probe], region: str | None = None) -> list[Trial]:
    """Return the probes of the search that say something about the server."""
    return [
        result.trial
        for probe in probes
        if probe.verdict != "generator" and probe.purpose == "search"
        for result in probe.regions
        if result.region == region
    ]


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked: the objective, the regions with their shares of the sessions, and orders a minute if any."""

    objective: Objective
    shares: dict[str, float]
    orders_per_min: float | None = None


def answer(question: Question, probes: Sequence[Probe], *, is_finished: bool, grid_probes: int | None) -> Capacity:
    """Return what the probes say together."""
    allowed = question.objective.over_share
    places: list[str | None] = [None, *(question.shares if len(question.shares) > 1 else ())]
    found = {
        place: RegionLimit(
            place, 1.0 if place is None else question.shares[place], find_knee(trials(probes, place), allowed)
        )
        for place in places
    }
    orders, sessions = sum(p.orders for p in probes), sum(p.sessions for p in probes)
    each = orders / sessions if orders and sessions else None
    held, broke = _sides(probes)
    wanted = question.orders_per_min
    return Capacity(
        question.objective,
        tuple(probes),
        tuple(found.values()),
        spoilt_from(probes),
        limits(broke.signs, held.signs if held else None) if broke else (),
        fit_usl([(p.concurrency, p.answered_per_s) for p in probes if _says(p) and p.concurrency and p.answered_per_s]),
        size(wanted, each, found[question.objective.region].knee, _service_s(held)) if wanted and each else None,
        each,
        tuple(_replays(probes)),
        is_finished,
        grid_probes,
    )


def _says(probe: Probe) -> bool:
    return probe.verdict != "generator"


def _sides(probes: Sequence[Probe]) -> tuple[Probe | None, Probe | None]:
    """Return the probe with the highest rate that held, and the one with the lowest rate that broke."""
    held = [probe for probe in probes if probe.verdict == "held"]
    broke = [probe for probe in probes if probe.verdict in ("broke", "generator")]
    return max(held, key=lambda p: p.rate, default=None), min(broke, key=lambda p: p.rate, default=None)


def _service_s(held: Probe | None) -> float | None:
    return held.signs.service_ms / 1000 if held and held.signs.service_ms else None


def _replays(probes: Sequence[Probe]) -> list[Replay]:
    replays = [probe for probe in probes if probe.purpose == "replay"]
    rows = []
    for number, probe in enumerate(replays):
        wanted: ProbeVerdict = "held" if number == 0 else "broke"
        what = "holds at the recommendation" if number == 0 else f"breaks {format_share(SHORTFALL)} above it"
        rows.append(Replay(what, probe.rate, probe.run_id, probe.verdict, probe.verdict == wanted))
    return rows
