"""The arrivals of an open model, made before the run from its seed.

Each session in each region in each phase draws from a stream of random numbers of its own, found by their names: to add a
session, a region or a phase changes no other's arrivals, nor what their shoppers do.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.errors import UsageError
from bench.scenario.curves import Curve
from bench.scenario.model import Phase, Scenario
from bench.scenario.offer import bursts, offers, peak_rate
from bench.scenario.values import Ends
from bench.units import NS_PER_S

Ints = npt.NDArray[np.int64]
Small = npt.NDArray[np.int16]
_SEEDS = 1 << 62

Turn = tuple[int, int]
"""(which, of how many): the share of one worker in what several play."""


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Arrivals in order of time, as parallel arrays.

    ``due_ns`` counts from the start of the run, ``session``, ``region`` and ``phase`` are positions in the scenario,
    ``seed`` decides what the shopper does, and ``number`` is the arrival's place in the whole schedule, which it keeps in
    every part of it.
    """

    due_ns: Ints
    session: Small
    region: Small
    phase: Small
    seed: Ints
    number: Ints

    def __len__(self) -> int:
        return len(self.due_ns)

    def part(self, turns: Mapping[int, Turn]) -> "Schedule":
        """Return the arrivals of one worker: by position of the region, whose turn it is among how many workers.

        An arrival of a region is its worker's whose turn its number is, modulo the number of workers that serve the region;
        a region that is not in ``turns`` is not served.  Parts whose turns complete each other (``turns_of``) are disjoint
        and together the whole.
        """
        of = np.ones(int(self.region.max(initial=0)) + 1, np.int64)
        turn = np.full_like(of, -1)
        for region, (which, count) in turns.items():
            if not 0 <= which < count:
                raise ValueError(f"turn {which} of {count}")
            if region < len(of):
                turn[region], of[region] = which, count
        return self._picked(self.number % of[self.region] == turn[self.region])

    def since(self, due_ns: int) -> "Schedule":
        """Return the arrivals due at a time, in nanoseconds since the start, or later."""
        return self._picked(self.due_ns >= due_ns)

    def _picked(self, rows: npt.NDArray[Any]) -> "Schedule":
        return Schedule(
            self.due_ns[rows],
            self.session[rows],
            self.region[rows],
            self.phase[rows],
            self.seed[rows],
            self.number[rows],
        )


def turns_of(serving: Sequence[frozenset[str] | None], regions: Sequence[str]) -> tuple[dict[int, Turn], ...]:
    """Return each worker's turns, by position of the region, from the regions that each serves (None for all).

    UsageError when a region is served by none.
    """
    found: tuple[dict[int, Turn], ...] = tuple({} for _ in serving)
    for number, region in enumerate(regions):
        mine = [worker for worker, served in enumerate(serving) if served is None or region in served]
        if not mine:
            raise UsageError(
                f"no worker serves the region '{region}'", hint="start one that does, or one for all regions"
            )
        for turn, worker in enumerate(mine):
            found[worker][number] = (turn, len(mine))
    return found


def make_schedule(scenario: Scenario, seed: int) -> Schedule:
    """Return the arrivals of a scenario, none in a closed model; the same seed gives the same arrivals."""
    sessions = {name: number for number, name in enumerate(scenario.session_names)}
    regions = {region.name: number for number, region in enumerate(scenario.regions)}
    made = [_block(np.empty(0), np.empty(0, np.int64), (0, 0, 0))]
    start = 0.0
    for number, phase in enumerate(scenario.phases if scenario.model == "open" else ()):
        for session, region, count in bursts(scenario, phase):
            rng = stream(seed, "burst", phase.name, session, region)
            place = (sessions[session], regions[region], number)
            made.append(_block(np.full(count, start), _seeds(rng, count), place))
        for offer in offers(scenario, phase):
            rng = stream(seed, "arrivals", phase.name, offer.session, offer.region)
            times = start + _draw(rng, offer.curve)
            place = (sessions[offer.session], regions[offer.region], number)
            made.append(_block(times, _seeds(rng, len(times)), place))
        start += phase.duration
    columns = [np.concatenate(column) for column in zip(*made)]
    order = np.argsort(columns[0], kind="stable")
    due, which, where, when, seeds = (column[order] for column in columns)
    return Schedule(due, which, where, when, seeds, np.arange(len(due), dtype=np.int64))


def _block(times: npt.NDArray[np.float64], seeds: Ints, place: tuple[int, int, int]) -> tuple[npt.NDArray[Any], ...]:
    session, region, phase = (np.full(len(times), number, np.int16) for number in place)
    return (times * NS_PER_S).astype(np.int64), session, region, phase, seeds


def stream(seed: int, *names: str) -> np.random.Generator:
    """Return the random numbers that belong to these names, independent of those of any others."""
    key = np.frombuffer(hashlib.sha256("\0".join(names).encode()).digest(), ">u4")
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key.tolist())))


def _draw(rng: np.random.Generator, curve: Curve) -> npt.NDArray[np.float64]:
    area = curve.area
    return np.sort(curve.times(rng.random(int(rng.poisson(area))) * area))


def _seeds(rng: np.random.Generator, count: int) -> Ints:
    return rng.integers(0, _SEEDS, count)


def scaled(scenario: Scenario, *, duration_s: float | None, peak_rate: float | None) -> Scenario:
    """Return the scenario stretched to a total duration and to a peak rate, keeping its shape.

    Half-lives, days and traces are stretched with their phases; a burst grows with the rate, not with the duration.
    UsageError where there is no rate to scale.
    """
    stretch = 1.0 if duration_s is None else duration_s / scenario.duration_s
    factor = 1.0 if peak_rate is None else peak_rate / _peak(scenario)
    phases = tuple(_scaled_phase(phase, stretch, factor) for phase in scenario.phases)
    return scenario.model_copy(update={"phases": phases})


def _peak(scenario: Scenario) -> float:
    found = peak_rate(scenario)
    if found <= 0:
        raise UsageError(f"scenario '{scenario.name}' offers bursts only, so --rate has nothing to scale")
    return found


def _scaled_phase(phase: Phase, stretch: float, factor: float) -> Phase:
    update: dict[str, Any] = {
        "duration": phase.duration * stretch,
        "half_life": phase.half_life and phase.half_life * stretch,
        "period": phase.period and phase.period * stretch,
        "burst": {name: max(1, round(count * factor)) if count else 0 for name, count in phase.burst.items()},
    }
    if phase.trace:
        update["trace"] = phase.trace.scaled(stretch, factor)
    else:
        update["rate"] = {name: _scaled_rate(rate, factor) for name, rate in phase.rate.items()}
    return phase.model_copy(update=update)


def _scaled_rate(rate: Ends | dict[str, Ends], factor: float) -> Ends | dict[str, Ends]:
    if isinstance(rate, dict):
        return {region: (first * factor, last * factor) for region, (first, last) in rate.items()}
    return rate[0] * factor, rate[1] * factor
