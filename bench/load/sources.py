"""Where users get their sessions from: the schedule of an open model, or themselves in a closed one."""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import log, sqrt
from random import Random
from typing import Any, NamedTuple

import gevent
from gevent.queue import SimpleQueue

from bench.load.clock import alarm
from bench.load.user import Arrival
from bench.load.wishes import Missed
from bench.metrics.recorder import ArrivalLabel, Recorder
from bench.scenario.model import Phase, Scenario, Think
from bench.scenario.schedule import Schedule, stream
from bench.units import NS_PER_S

_CHUNK = 4096
"""Arrivals taken from the schedule's arrays at a time: enough to cost nothing, few enough to be made in a millisecond."""
_SEED_BITS = 62
_MIX = 0x9E3779B97F4A7C15
LOGNORMAL_SIGMA = sqrt(log(2))
"""Gives think times whose standard deviation is their mean, as exponential ones have, but hardly any near zero."""

# What the dispatcher hands over: number, session, phase, due, seed, when dispatched.  A plain tuple, because the
# dispatcher delays every arrival by what it does for this one; the user who takes it makes the Arrival.
_Item = tuple[int, int, int, int, int, int]


@dataclass(slots=True)
class _Region:
    labels: tuple[ArrivalLabel, ...]
    queue: "SimpleQueue[_Item | None]" = field(default_factory=SimpleQueue)
    busy: int = 0


def arrival_seed(seed: int, number: int) -> int:
    """Return the seed of a session that no schedule holds: inputs belong to the session, not to the user who plays it."""
    return (seed * 1_000_003 + number) * _MIX & (1 << _SEED_BITS) - 1


class OpenSource:
    """Arrivals on schedule, queued per region for whichever user is free; the wait counts.

    The schedule may be a part of the whole, as a worker plays it; its arrivals keep the numbers and seeds of the whole.
    """

    def __init__(
        self, scenario: Scenario, schedule: Schedule, recorder: Recorder, missed: Missed = lambda *_: None
    ) -> None:
        self._schedule = schedule
        self._recorder = recorder
        self._missed = missed
        names = scenario.session_names
        self._regions = {
            region.name: _Region(tuple(ArrivalLabel(region.name, name) for name in names))
            for region in scenario.regions
        }
        self._by_number = tuple(self._regions.values())
        self._origin_ns = 0
        self._early: list[Schedule] = []
        self._extra: list[gevent.Greenlet] = []
        self._is_closed = False

    @property
    def busy(self) -> int:
        """Users that play a session now."""
        return sum(region.busy for region in self._regions.values())

    @property
    def queued(self) -> int:
        """Arrivals that wait for a free user."""
        if self._is_closed:
            return 0  # what is in the queues then only tells users to go
        return sum(region.queue.qsize() for region in self._regions.values())

    def dispatch(self, origin_ns: int, wait_until: Callable[[int], None]) -> None:
        """Hand out every arrival at its time; returns after the last, those adopted by then included."""
        self._origin_ns = origin_ns
        for part in self._early:
            self._spawn(part)
        self._early.clear()
        self._hand_out(self._schedule, wait_until)
        while any(not greenlet.dead for greenlet in self._extra):
            gevent.joinall(self._extra)

    def adopt(self, part: Schedule) -> None:
        """Take over arrivals of another worker while running, besides one's own.

        Those already due are handed out at once: they are late by what the loss of their worker cost, and the lag says so.
        """
        if self._origin_ns:
            self._spawn(part)
        else:
            self._early.append(part)

    def _spawn(self, part: Schedule) -> None:
        self._extra.append(gevent.spawn(lambda: self._hand_out(part, alarm())))

    def _hand_out(self, schedule: Schedule, wait_until: Callable[[int], None]) -> None:
        # Names looked up once: this loop is the clock of the run.
        regions, origin, clock = self._by_number, self._origin_ns, time.perf_counter_ns
        offered = self._recorder.offered
        puts = tuple(region.queue.put for region in regions)
        for number, due, session, region, phase, seed in _rows(schedule):
            due_ns = origin + due
            now = clock()
            if now < due_ns:
                wait_until(due_ns)
                now = clock()
            puts[region]((number, session, phase, due_ns, seed, now))
            offered(regions[region].labels[session], phase)

    def next(self, region: str) -> Arrival | None:
        """Return the next arrival of the region, waiting for it; None once the source is closed."""
        place = self._regions[region]
        item = place.queue.get()
        if item is None:
            return None
        number, session, phase, due_ns, seed, dispatched_ns = item
        place.busy += 1
        label = place.labels[session]
        self._recorder.started(label, phase, time.perf_counter_ns() - due_ns, dispatched_ns - due_ns)
        return Arrival(number, label.session, phase, due_ns, seed, dispatched_ns)

    def done(self, region: str) -> None:
        """Take note that a user of the region is free again."""
        self._regions[region].busy -= 1

    def close(self, users: Mapping[str, int]) -> int:
        """Drop what was not started, let idle users go, and return how many arrivals were dropped."""
        gevent.killall(self._extra)
        self._is_closed = True
        dropped = 0
        for name, place in self._regions.items():
            while not place.queue.empty():
                item = place.queue.get()
                if item is not None:
                    _, session, phase, due_ns, seed, _ = item
                    label, now = place.labels[session], time.perf_counter_ns()
                    self._recorder.dropped(label, phase, now - due_ns)
                    self._missed(label, seed, due_ns - self._origin_ns, now - self._origin_ns)
                    dropped += 1
            for _ in range(users.get(name, 0)):
                place.queue.put(None)
        return dropped


def _rows(schedule: Schedule) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield (number, due, session, region, phase, seed) as plain integers."""
    columns = (schedule.number, schedule.due_ns, schedule.session, schedule.region, schedule.phase, schedule.seed)
    for start in range(0, len(schedule), _CHUNK):
        yield from zip(*(column[start : start + _CHUNK].tolist() for column in columns))


@dataclass(slots=True)
class _Player:
    """A closed model's user: random numbers of its own, by its region and its number among all users of the region."""

    number: int
    rng: Random
    played: int = 0


class _Menu(NamedTuple):
    """What a region's users choose from in a phase, with cumulative weights; empty in a phase of rest."""

    labels: tuple[ArrivalLabel, ...]
    cumulative: tuple[float, ...]


class ClosedSource:
    """Each user begins its next session after thinking, for as long as the phases last.

    ``players`` are the numbers, by region, that the users of this process have among all users of the run; None where
    this is the only process.  What a user does is decided by the seed, its region and its number.
    """

    def __init__(
        self, scenario: Scenario, seed: int, recorder: Recorder, players: Mapping[str, Sequence[int]] | None = None
    ) -> None:
        self._scenario = scenario
        self._seed = seed
        self._recorder = recorder
        self._origin_ns = 0
        self._ends = tuple(accumulate(phase.duration for phase in scenario.phases))
        self._open = gevent.event.Event()
        self._closed = False
        self._numbers = players
        self._players: dict[Any, _Player] = {}
        self._seated: dict[str, int] = {}
        self._menus: dict[tuple[int, str], _Menu] = {}
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
        player = self._player(region)
        self._open.wait()
        while not self._closed:
            if self._scenario.think_time:
                gevent.sleep(think_s(self._scenario.think, self._scenario.think_time, player.rng))
            now = time.perf_counter_ns()
            phase = self._phase((now - self._origin_ns) / NS_PER_S)
            if phase is None or self._closed:
                return None
            menu = self._menus.get((phase, region))
            if menu is None:
                menu = self._menus[phase, region] = _menu(self._scenario.phases[phase], region)
            if menu.labels:
                return self._arrival(menu, player, phase)
            # A phase of rest: ask again when it is over.
            gevent.sleep(max(0.001, self._ends[phase] - (now - self._origin_ns) / NS_PER_S))
        return None

    def _arrival(self, menu: _Menu, player: _Player, phase: int) -> Arrival:
        [label] = player.rng.choices(menu.labels, cum_weights=menu.cumulative)
        seed = player.rng.getrandbits(_SEED_BITS)
        number, player.played = player.played, player.played + 1
        self.busy += 1
        self._recorder.offered(label, phase)
        self._recorder.started(label, phase, 0, 0)
        return Arrival(number, label.session, phase, time.perf_counter_ns(), seed)

    def _player(self, region: str) -> _Player:
        # The users of a region are alike, so the first who asks is the first of them.
        me = gevent.getcurrent()
        found = self._players.get(me)
        if found is None:
            seat = self._seated.get(region, 0)
            self._seated[region] = seat + 1
            number = seat if self._numbers is None else self._numbers[region][seat]
            found = self._players[me] = player_of(self._seed, region, number)
        return found

    def _phase(self, elapsed_s: float) -> int | None:
        phase = bisect_right(self._ends, elapsed_s)
        return phase if phase < len(self._ends) else None

    def done(self, region: str) -> None:  # noqa: ARG002
        """Take note that a user is free again."""
        self.busy -= 1

    def close(self, users: Mapping[str, int]) -> int:  # noqa: ARG002
        """Let users go once their session has ended; nothing waits in a closed model, so nothing is dropped."""
        self._closed = True
        self._open.set()
        return 0


def player_of(seed: int, region: str, number: int) -> _Player:
    """Return a user of a closed model, with the random numbers that are its own whichever process it is in."""
    return _Player(number, Random(int(stream(seed, "player", region, str(number)).integers(0, 1 << _SEED_BITS))))


def _menu(phase: Phase, region: str) -> _Menu:
    found: dict[str, float] = {}
    for session, where, ends in phase.each_rate():
        if where in (None, region) and sum(ends) > 0:
            found[session] = sum(ends)
    return _Menu(tuple(ArrivalLabel(region, session) for session in found), tuple(accumulate(found.values())))


def think_s(how: Think, mean_s: float, rng: Random) -> float:
    """Return a think time in seconds, of a distribution with the mean given."""
    match how:
        case "constant":
            return mean_s
        case "lognormal":
            return rng.lognormvariate(log(mean_s) - LOGNORMAL_SIGMA**2 / 2, LOGNORMAL_SIGMA)
    return rng.expovariate(1 / mean_s)
