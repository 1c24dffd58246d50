"""One process's part of a run: users connected, arrivals on time, a frame a second, an orderly end whatever happens.

Locust spawns and stops the users; what is measured goes through our recorder, because Locust's statistics round latencies
to milliseconds and know neither intended starts nor attempts.  A run of one process is one engine (``run``); in a run of
several each worker has one and a coordinator tells it when to begin (``play``).
"""

import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import cycle
from typing import Any, Literal, Protocol

import gevent
from gevent.event import Event as Signal
from gevent.lock import Semaphore

from bench.db.connection import Connection, connect
from bench.db.dialects import dialect_of
from bench.db.retry import RetryPolicy
from bench.db.session import Effects, Session
from bench.errors import BenchError, TargetError
from bench.load import locust
from bench.load.beside import Companion
from bench.load.clock import WallClock, alarm
from bench.load.health import Health
from bench.load.sidelines import ServerObserver, Sidelines
from bench.load.sources import ClosedSource, OpenSource
from bench.load.user import Equipment, ShopUser
from bench.load.web import WebPage
from bench.metrics.frame import Event, Frame, GeneratorCell
from bench.metrics.recorder import Batch, Recorder
from bench.scenario.model import Scenario
from bench.scenario.schedule import Schedule
from bench.target.base import Target
from bench.units import NS_PER_S

CONNECT_WITHIN_S = 60.0
HEAD_START_S = 0.3
SWITCH_INTERVAL_S = 0.0005
USER_CLASS = "Shopper"
"""What Locust knows our users by; one class, because their regions are our affair."""
STOP_WITHIN_S = 5.0

Status = Literal["complete", "interrupted", "target_lost", "crashed"]


class FrameSink(Protocol):
    """Takes each frame as it ends; called off the event loop's thread."""

    def __call__(self, frame: Frame) -> None:
        """Store a frame."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that decides a run, fixed before it begins."""

    scenario: Scenario
    schedule: Schedule
    target: Target
    user_class: type[ShopUser]
    catalogue: Any
    state: Any
    run_id: str
    users: Mapping[str, int]
    """How many users this process starts, by region."""
    players: Mapping[str, Sequence[int]] | None = None
    """Closed model: which of all users of a region they are; None where this is the only process."""
    notes: tuple[str, ...] = ()
    """What is to be kept with the run about how it was planned."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended; ``error`` is what a workload's code raised, where it did."""

    status: Status
    detail: str = ""
    dropped: int = 0
    interrupted_at_s: float | None = None
    error: BaseException | None = None
    faults: tuple[str, ...] = ()
    """Why the figures are not to be trusted, beyond what the frames say: workers that were lost or late."""
    gaps_unix_s: tuple[float, ...] = ()
    """When acknowledged orders may have gone missing from the journal: with a worker that was lost."""


@dataclass(slots=True)
class Engine:
    """Drives one plan.  ``interrupt`` may be called at any time, also from a signal handler."""

    plan: Plan
    sink: FrameSink
    observer: ServerObserver | None
    """None in a worker: the sidelines of its run are another process's."""
    progress: Callable[[Frame], None]
    worker: str = ""
    """The worker's name; empty where there is one process."""
    companions: Sequence[Companion] = ()
    """Work beside the load, where there is an observer."""
    page: WebPage | None = None
    """Locust's web page, where it was asked for."""
    recorder: Recorder = field(init=False)
    source: OpenSource | ClosedSource = field(init=False)
    _stop: Signal = field(init=False)
    _writing: Semaphore = field(default_factory=Semaphore)
    _sidelines: Sidelines | None = None
    _ended: Ended | None = None
    _health: Health = field(default_factory=Health)
    _wall: WallClock = field(default_factory=WallClock)
    _users: dict[str, int] = field(default_factory=dict)
    _connected: int = 0
    _answered_s: float = 0.0
    """The end of the last frame that was no part of an outage."""
    _is_out: bool = False
    """Whether connections were lost or refused, and nothing was answered since."""
    _hurried: bool = False
    _sink_failed: bool = False
    _origin_ns: int = 0
    _frames: int = 0
    _kits: dict[str, Equipment] = field(default_factory=dict)
    _turns: dict[str, int] = field(default_factory=dict)
    _seats: list[str] = field(default_factory=list)
    """The regions of the users in the order in which they are spawned."""
    _seated: int = 0

    def __post_init__(self) -> None:
        scenario = self.plan.scenario
        self.recorder = Recorder(tuple(phase.name for phase in scenario.phases))
        self.source = (
            OpenSource(scenario, self.plan.schedule, self.recorder)
            if scenario.model == "open"
            else ClosedSource(scenario, scenario.seed, self.recorder, self.plan.players)
        )
        self._stop = Signal()
        if self.observer is not None:
            self._sidelines = Sidelines(self.observer, self.companions, self.recorder)
        self.seat(self.plan.users)

    def interrupt(self, *, at_once: bool = False) -> None:
        """Stop arrivals, let sessions in flight end (or not, ``at_once``), and finish the run as interrupted."""
        self.stop("interrupted", "stopped by the user", at_once=at_once)

    def stop(self, status: Status, detail: str, *, at_once: bool = False) -> None:
        """End the part as it is told to: by the user, or by the coordinator of a run of several processes."""
        self._hurried = self._hurried or at_once
        self._end(Ended(status, detail, interrupted_at_s=self._elapsed_s() if status == "interrupted" else None))

    def run(self) -> Ended:
        """Return how the run ended; everything measured has been handed to the sink by then."""
        environment = locust.env.Environment(user_classes=[self.user_class()], catch_exceptions=True)
        environment.stop_timeout = 0
        runner = environment.create_local_runner()
        try:
            hush_locust()
            if self.page is not None:
                self.page.attach(environment, self.interrupt)
            runner.start(self.total, spawn_rate=self.total)
            self.await_users(runner)
            if self._sidelines is not None:
                self._sidelines.begin(marks(self.plan))
            return self.play(runner, time.perf_counter_ns() + int(HEAD_START_S * NS_PER_S))
        finally:
            if self.page is not None:
                self.page.close()
            runner.quit()

    @property
    def total(self) -> int:
        """Users of this process."""
        return len(self._seats)

    def await_users(self, runner: Any) -> None:
        """Return when every user has its connection; raises what kept one from it, TargetError when it takes too long."""
        total = self.total
        with gevent.Timeout(
            CONNECT_WITHIN_S, TargetError(f"{total} users could not connect in {CONNECT_WITHIN_S:g} s")
        ):
            while self._ended is None and not self._all_connected(runner, total):
                gevent.sleep(0.005)
        if self._ended is not None and self._ended.error is not None:
            raise _connect_error(self._ended.error, total)
        # What was recorded while connecting belongs to no phase.
        self.recorder.take(0, 0.0, 0.0)

    def _all_connected(self, runner: Any, total: int) -> bool:
        return len(runner.user_greenlets) == total and self._connected >= total

    def play(self, runner: Any, origin_ns: int) -> Ended:
        """Play the plan from a time of ``perf_counter_ns`` on, with users that are connected; return how it ended."""
        try:
            return self._measure(runner, origin_ns)
        finally:
            self._health.stop()

    def _measure(self, runner: Any, origin_ns: int) -> Ended:
        self._origin_ns = origin_ns
        for kit in self._kits.values():
            kit.origin_ns = origin_ns
        # The thread that folds and writes must not keep the interpreter for the usual 5 ms at a time.
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._health.start()
        dispatcher = gevent.spawn(self.source.dispatch, self._origin_ns, alarm())
        frames = gevent.spawn(self._write_frames)
        if self._sidelines is not None:
            self._sidelines.start(origin_ns)
        finisher = gevent.spawn(self._finish_when_done, dispatcher)
        self._stop.wait()
        finisher.kill()
        dispatcher.kill()
        dropped = self._wind_down()
        # What is still in flight ends now, so that the last frame holds it as unfinished.
        runner.user_greenlets.kill(block=True, timeout=STOP_WITHIN_S)
        with self._writing:
            # Nothing is being written now, so the greenlet can be ended without losing a frame.
            frames.kill()
        if self._sidelines is not None:
            self._sidelines.stop()
            self._sidelines.end(self._elapsed_s())
        self._write_frame()
        ended = self._ended or Ended("complete")
        return replace(ended, dropped=dropped)

    def _finish_when_done(self, dispatcher: gevent.Greenlet) -> None:
        dispatcher.join()
        end = self._origin_ns + int(self.plan.scenario.duration_s * NS_PER_S)
        gevent.sleep(max(0.0, (end - time.perf_counter_ns()) / NS_PER_S))
        self._await_idle()
        self._stop.set()

    def _wind_down(self) -> int:
        """Drop what is still queued; after an interruption let sessions in flight end, as a complete run already has."""
        dropped = self.source.close(self._users)
        if self._ended is not None and self._ended.status == "interrupted":
            self._await_idle()
        return dropped

    def _await_idle(self) -> None:
        with gevent.Timeout(self.plan.scenario.drain, False):
            while (self.source.busy or self.source.queued) and not (self._is_lost() or self._hurried):
                gevent.sleep(0.02)

    def _is_lost(self) -> bool:
        return self._ended is not None and self._ended.status in ("target_lost", "crashed")

    def _end(self, ended: Ended) -> None:
        if self._ended is None:
            self._ended = ended
            if self._sidelines is not None:
                self.recorder.event(Event(self._elapsed_s(), ended.status, ended.detail))
        self._stop.set()

    def _elapsed_s(self) -> float:
        return (time.perf_counter_ns() - self._origin_ns) / NS_PER_S if self._origin_ns else 0.0

    # -- frames

    def _write_frames(self) -> None:
        wait_until = alarm()
        while True:
            wait_until(self._origin_ns + (self._frames + 1) * NS_PER_S)
            self._write_frame()

    def _write_frame(self) -> None:
        with self._writing:
            if not self._sink_failed:
                self._write_one_frame()

    def _write_one_frame(self) -> None:
        self._frames += 1
        server = {} if self._sidelines is None else self._sidelines.take()
        health = self._health.cell(self.total, self.source.busy, self.source.queued)
        generator = replace(health, worker=self.worker)
        unix_s, stepped_s = self._wall.read()
        if stepped_s:
            self.recorder.event(Event(self._elapsed_s(), "clock_step", f"the wall clock was set by {stepped_s:+.3g} s"))
        batch = self.recorder.take(self._frames, self._elapsed_s(), unix_s)
        # Folding and a commit to disk take milliseconds; on the event loop they would delay every arrival and answer.
        stored = gevent.get_hub().threadpool.apply(self._store, (batch, generator, server))
        if isinstance(stored, Exception):
            self._sink_failed = True
            self._end(Ended("crashed", str(stored), error=stored))
            return
        self.progress(stored)
        if self.page is not None:
            self.page.show(stored)
        self._watch_target(stored)

    def _store(self, batch: Batch, generator: GeneratorCell, server: dict[str, float]) -> Frame | Exception:
        # The top frame of a thread: what is raised here gevent would print, with everything that the engine holds.
        try:
            frame = batch.fold(generator, server)
            self.sink(frame)
        except Exception as error:
            return error
        return frame

    def _watch_target(self, frame: Frame) -> None:
        if not self.plan.target.is_alive():
            self._end(Ended("target_lost", "the server's process has ended"))
            return
        answered = any(cell.count > cell.errors for cell in frame.statements)
        self._is_out = not answered and self.source.busy > 0 and (self._is_out or bool(frame.disconnects))
        if not self._is_out:
            self._answered_s = frame.elapsed_s
        patience_s = self.plan.scenario.give_up_after
        if frame.elapsed_s - self._answered_s >= patience_s:
            self._end(Ended("target_lost", f"no answer and no connection for {patience_s:g} s"))

    # -- users

    def user_class(self) -> type[ShopUser]:
        """Return the class that Locust spawns: each new user takes the next seat, and with it its region."""
        user_class = self.plan.user_class

        def begin(user: Any, environment: locust.env.Environment) -> None:
            user.equipment = self._next_kit()
            user_class.__init__(user, environment)

        members = {"abstract": False, "wait_time": lambda _: 0, "__init__": begin}
        return type(USER_CLASS, (user_class,), members)

    def seat(self, users: Mapping[str, int]) -> None:
        """Make room for more users, by region; they sit down as Locust spawns them."""
        for region, count in users.items():
            self._users[region] = self._users.get(region, 0) + count
            self._seats += [region] * count
            if region not in self._kits:
                self._kits[region] = self._kit(region)

    def adopt(self, part: Schedule) -> None:
        """Take over arrivals of a worker that was lost, besides one's own; only in an open model."""
        assert isinstance(self.source, OpenSource)
        self.source.adopt(part)

    def _next_kit(self) -> Equipment:
        # Beyond the seats only where Locust has replaced a user that gave up: it sits where the first ones do.
        region = self._seats[self._seated % len(self._seats)]
        self._seated += 1
        return self._kits[region]

    def _kit(self, region: str) -> Equipment:
        retry = self.plan.scenario.retry
        return Equipment(
            region=region,
            connect=partial(self._session, region),
            source=self.source,
            recorder=self.recorder,
            policy=RetryPolicy(retry.max_attempts, retry.base_ms, retry.cap_ms, retry.budget),
            effects=Effects(time.perf_counter_ns, gevent.sleep),
            state=self.plan.state,
            phases=tuple(phase.name for phase in self.plan.scenario.phases),
            origin_ns=self._origin_ns,
            failed=self._user_failed,
            connected=self._user_connected,
        )

    def _session(self, region: str, user: ShopUser) -> Session:
        # Each begins at another gateway, and goes on to the next whenever it needs a connection.
        turn = self._turns[region] = self._turns.get(region, -1) + 1
        connector = gateway_connector(self.plan.target, region, self.plan.scenario, self.plan.run_id, turn)
        effects = Effects(time.perf_counter_ns, gevent.sleep)
        return Session(region, connector, self.plan.catalogue, user, effects, self.plan.target.distance_s(region))

    def _user_connected(self) -> None:
        self._connected += 1

    def _user_failed(self, error: BaseException) -> None:
        if not isinstance(error, gevent.GreenletExit):
            status: Status = "target_lost" if isinstance(error, TargetError) else "crashed"
            self._end(Ended(status, str(error) or type(error).__name__, error=error))


def marks(plan: Plan) -> Iterator[Event]:
    """Yield what is known of the timeline before the run: notes of the plan, and when phases begin."""
    for note in plan.notes:
        yield Event(0.0, "note", note)
    start = 0.0
    for phase in plan.scenario.phases:
        yield Event(start, "sale_opens" if phase.opens_sale else "phase", phase.name)
        start += phase.duration


def hush_locust() -> None:
    """Keep Locust from warning of high spawn rates and from printing what users raise: we tell of errors ourselves."""
    logging.getLogger("locust").setLevel(logging.CRITICAL)


def _connect_error(error: BaseException, users: int) -> BaseException:
    if isinstance(error, BenchError) or not hasattr(error, "sqlstate"):
        return error
    return TargetError(
        f"not all of {users} users could connect",
        cause=str(error).splitlines()[-1],
        hint="raise the server's connection limit, or pass a smaller --users",
    )


def gateway_connector(
    target: Target, region: str, scenario: Scenario, run_id: str, turn: int = 0
) -> Callable[[], Connection]:
    """Return a function that connects to the region's next gateway, from number ``turn`` on, with the scenario's settings."""
    urls = target.gateways[region]
    options = [f"statement_timeout={int(scenario.statement_timeout * 1000)}"]
    if scenario.isolation:
        options.append(f"default_transaction_isolation={scenario.isolation}")
    start = turn % len(urls)
    in_turn = cycle((*urls[start:], *urls[:start]))

    def connector() -> Connection:
        connection = connect(next(in_turn), application=f"shopbench/{run_id}/{region}", options=options)
        if target.checks_gateway:
            _check_gateway(connection, region)
        return connection

    return connector


def _check_gateway(connection: Connection, region: str) -> None:
    found = dialect_of(connection).gateway_region(connection)
    if found is not None and found != region:
        connection.close()
        raise TargetError(
            f"the gateway given for {region} answers from {found}",
            hint=f"pass --gateway {region}=URL of a node in {region}",
        )
