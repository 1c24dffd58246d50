"""Where users get their sessions from: the schedule of an open model, or themselves in a closed one."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate
from random import Random

import gevent
from gevent.queue import SimpleQueue

from bench.load.user import Arrival
from bench.metrics.recorder import ArrivalLabel, Recorder
from bench.scenario.model import Scenario
from bench.scenario.schedule import Schedule
from bench.units import NS_PER_S

_MIX = 0x9E3779B97F4A7C15


def arrival_seed(seed: int, number: int) -> int:
    """Return the seed of one arrival's random numbers: inputs belong to the arrival, not to the user who plays it."""
    return (seed * 1_000_003 + number) * _MIX & (1 << 62) - 1


@dataclass(slots=True)
class _Region:
    queue: "SimpleQueue[Arrival | None]" = field(default_factory=SimpleQueue)
    busy: int = 0


class OpenSource:
    """Arrivals on schedule, queued per region for whichever user is free; the wait counts."""

    def __init__(self, scenario: Scenario, schedule: Schedule, seed: int, recorder: Recorder) -> None:
        self._schedule = schedule
        self._seed = seed
        self._recorder = recorder
        self._sessions = scenario.session_names
        self._names = tuple(region.name for region in scenario.regions)
        self._regions = {name: _Region() for name in self._names}

    @property
    def busy(self) -> int:
        """Users that play a session now."""
        return sum(region.busy for region in self._regions.values())

    @property
    def queued(self) -> int:
        """Arrivals that wait for a free user."""
        return sum(region.queue.qsize() for region in self._regions.values())

    def dispatch(self, origin_ns: int, wait_until: Callable[[int], None]) -> None:
        """Hand out every arrival at its time; returns after the last."""
        schedule = self._schedule
        columns = (schedule.due_ns, schedule.session, schedule.region, schedule.phase)
        for number, (due, session, region, phase) in enumerate(zip(*(column.tolist() for column in columns))):
            due_ns = origin_ns + due
            wait_until(due_ns)
            name, where = self._sessions[session], self._names[region]
            seed = arrival_seed(self._seed, number)
            self._recorder.offered(ArrivalLabel(where, name), phase)
            self._regions[where].queue.put(Arrival(number, name, phase, due_ns, seed, time.perf_counter_ns()))

    def next(self, region: str) -> Arrival | None:
        """Return the next arrival of the region, waiting for it; None once the source is closed."""
        place = self._regions[region]
        arrival: Arrival | None = place.queue.get()
        if arrival is None:
            return None
        place.busy += 1
        now = time.perf_counter_ns()
        label = ArrivalLabel(region, arrival.session)
        self._recorder.started(label, arrival.phase, now - arrival.due_ns, arrival.dispatched_ns - arrival.due_ns)
        return arrival

    def done(self, region: str) -> None:
        """Take note that a user of the region is free again."""
        self._regions[region].busy -= 1

    def close(self, users: dict[str, int]) -> int:
        """Drop what was not started, let idle users go, and return how many arrivals were dropped."""
        dropped = 0
        for name, place in self._regions.items():
            while not place.queue.empty():
                arrival = place.queue.get()
                if arrival is not None:
                    waited = time.perf_counter_ns() - arrival.due_ns
                    self._recorder.dropped(ArrivalLabel(name, arrival.session), arrival.phase, waited)
                    dropped += 1
            for _ in range(users.get(name, 0)):
                place.queue.put(None)
        return dropped


class ClosedSource:
    """Each user begins its next session after thinking, for as long as the phases last."""

    def __init__(self, scenario: Scenario, seed: int, recorder: Recorder) -> None:
        self._scenario = scenario
        self._seed = seed
        self._rng = Random(seed)
        self._recorder = recorder
        self._number = 0
        self._origin_ns = 0
        self._ends = tuple(accumulate(phase.duration for phase in scenario.phases))
        self._open = gevent.event.Event()
        self._closed = False
        self.busy = 0
        self.queued = 0

    def dispatch(self, origin_ns: int, wait_until: Callable[[int], None]) -> None:
        """Let the users begin, and return when the last phase is over."""
        self._origin_ns = origin_ns
        wait_until(origin_ns)
        self._open.set()
        wait_until(origin_ns + int(self._ends[-1] * NS_PER_S))

    def next(self, region: str) -> Arrival | None:
        """Return the user's next session after its think time; None when the last phase is over."""
        self._open.wait()
        if self._scenario.think_time:
            gevent.sleep(self._rng.expovariate(1 / self._scenario.think_time))
        now = time.perf_counter_ns()
        phase = self._phase((now - self._origin_ns) / NS_PER_S)
        if phase is None or self._closed:
            return None
        rates = {name: sum(ramp) for name, ramp in self._scenario.phases[phase].rate.items() if sum(ramp) > 0}
        if not rates:
            # A phase of rest: ask again when it is over.
            gevent.sleep(max(0.001, self._ends[phase] - (now - self._origin_ns) / NS_PER_S))
            return self.next(region)
        session = self._rng.choices(list(rates), list(rates.values()))[0]
        self._number += 1
        self.busy += 1
        label = ArrivalLabel(region, session)
        self._recorder.offered(label, phase)
        self._recorder.started(label, phase, 0, 0)
        return Arrival(self._number, session, phase, now, arrival_seed(self._seed, self._number))

    def _phase(self, elapsed_s: float) -> int | None:
        return next((number for number, end in enumerate(self._ends) if elapsed_s < end), None)

    def done(self, region: str) -> None:  # noqa: ARG002
        """Take note that a user is free again."""
        self.busy -= 1

    def close(self, users: dict[str, int]) -> int:  # noqa: ARG002
        """Let users go once their session has ended; nothing waits in a closed model, so nothing is dropped."""
        self._closed = True
        self._open.set()
        return 0
