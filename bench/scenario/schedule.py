"""The arrivals of an open model, made before the run from its seed.

Each phase and session is a Poisson process whose rate runs straight from one value to another.  Given its number of points,
which is Poisson with mean (r0 + r1) / 2 · d, the points of such a process are independent draws from the density
proportional to the rate (e.g. Kingman, Poisson Processes, 1993, section 2.4); its distribution function is inverted below.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bench.scenario.model import Scenario
from bench.units import NS_PER_S

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Schedule:
    """Arrivals in order of time: parallel arrays of nanoseconds since the start, and indices of session, region, phase."""

    due_ns: Ints
    session: Ints
    region: Ints
    phase: Ints

    def __len__(self) -> int:
        return len(self.due_ns)


def make_schedule(scenario: Scenario, seed: int) -> Schedule:
    """Return the arrivals of a scenario; the same seed gives the same arrivals."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 0xA221])))
    times, sessions, phases = [], [], []
    names = {name: number for number, name in enumerate(scenario.session_names)}
    start = 0.0
    for number, phase in enumerate(scenario.phases):
        for name, (first, last) in phase.rate.items():
            offsets = _ramp_times(rng, first, last, phase.duration)
            times.append(start + offsets)
            sessions.append(np.full(len(offsets), names[name]))
            phases.append(np.full(len(offsets), number))
        start += phase.duration
    due = np.concatenate(times) if times else np.empty(0)
    order = np.argsort(due, kind="stable")
    share = np.array([region.share for region in scenario.regions])
    region = rng.choice(len(share), size=len(due), p=share / share.sum())
    return Schedule(
        (due[order] * NS_PER_S).astype(np.int64),
        np.concatenate(sessions).astype(np.int64)[order],
        region.astype(np.int64),
        np.concatenate(phases).astype(np.int64)[order],
    )


def _ramp_times(rng: np.random.Generator, first: float, last: float, duration: float) -> Floats:
    count = int(rng.poisson((first + last) / 2 * duration))
    share = rng.random(count)
    if first == last:
        return share * duration
    # F(t) = (first·t + (last - first)·t²/(2·d)) / ((first + last)/2·d), solved for t.
    slope = last - first
    root: Floats = np.sqrt(first * first + share * (last * last - first * first))
    return (root - first) / slope * duration


def scaled(scenario: Scenario, *, duration_s: float | None, peak_rate: float | None) -> Scenario:
    """Return the scenario stretched to a total duration and to a peak rate, keeping its shape."""
    stretch = 1.0 if duration_s is None else duration_s / scenario.duration_s
    factor = 1.0 if peak_rate is None else peak_rate / scenario.peak_rate
    phases = tuple(
        phase.model_copy(
            update={
                "duration": phase.duration * stretch,
                "rate": {name: (first * factor, last * factor) for name, (first, last) in phase.rate.items()},
            }
        )
        for phase in scenario.phases
    )
    return scenario.model_copy(update={"phases": phases})
