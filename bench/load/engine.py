"""One run: users connected, arrivals on time, a frame a second, an orderly end whatever happens.

Locust spawns and stops the users; what is measured goes through our recorder, because Locust's statistics round latencies
to milliseconds and know neither intended starts nor attempts.
"""

import logging
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
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
from bench.load.clock import alarm
from bench.load.health import Health
from bench.load.sources import ClosedSource, OpenSource
from bench.load.user import Equipment, ShopUser
from bench.metrics.frame import Event, Frame, GeneratorCell
from bench.metrics.recorder import Batch, Recorder
from bench.scenario.model import Scenario
from bench.scenario.schedule import Schedule
from bench.target.base import Target
from bench.units import NS_PER_S

CONNECT_WITHIN_S = 60.0
HEAD_START_S = 0.3
SWITCH_INTERVAL_S = 0.0005
STOP_WITHIN_S = 5.0
LOST_AFTER_FRAMES = 5
_GONE = frozenset({"connection_refused", "connection_lost", "cannot_connect_now"})

Status = Literal["complete", "interrupted", "target_lost", "crashed"]


class FrameSink(Protocol):
    """Takes each frame as it ends; called off the event loop's thread."""

    def __call__(self, frame: Frame) -> None:
        """Store a frame."""
        ...


class ServerObserver(Protocol):
    """Reads the server's own counters, once a frame."""

    def collect(self) -> dict[str, float]:
        """Return counters by name; empty when the server does not answer."""
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


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended; ``error`` is what a workload's code raised, where it did."""

    status: Status
    detail: str = ""
    dropped: int = 0
    interrupted_at_s: float | None = None
    error: BaseException | None = None


@dataclass(slots=True)
class Engine:
    """Drives one plan.  ``interrupt`` may be called at any time, also from a signal handler."""

    plan: Plan
    sink: FrameSink
    observer: ServerObserver
    progress: Callable[[Frame], None]
    recorder: Recorder = field(init=False)
    source: OpenSource | ClosedSource = field(init=False)
    _stop: Signal = field(init=False)
    _writing: Semaphore = field(default_factory=Semaphore)
    _server: dict[str, float] = field(default_factory=dict)
    _ended: Ended | None = None
    _health: Health = field(default_factory=Health)
    _users: dict[str, int] = field(default_factory=dict)
    _connected: int = 0
    _silent_frames: int = 0
    _hurried: bool = False
    _sink_failed: bool = False
    _origin_ns: int = 0
    _frames: int = 0
    _kits: list[Equipment] = field(default_factory=list)

    def __post_init__(self) -> None:
        scenario = self.plan.scenario
        self.recorder = Recorder(tuple(phase.name for phase in scenario.phases))
        self.source = (
            OpenSource(scenario, self.plan.schedule, scenario.seed, self.recorder)
            if scenario.model == "open"
            else ClosedSource(scenario, scenario.seed, self.recorder)
        )
        self._stop = Signal()

    def interrupt(self, *, at_once: bool = False) -> None:
        """Stop arrivals, let sessions in flight end (or not, ``at_once``), and finish the run as interrupted."""
        self._hurried = self._hurried or at_once
        self._end(Ended("interrupted", "stopped by the user", interrupted_at_s=self._elapsed_s()))

    def run(self) -> Ended:
        """Return how the run ended; everything measured has been handed to the sink by then."""
        environment = locust.env.Environment(user_classes=[*self._user_classes()], catch_exceptions=True)
        environment.stop_timeout = 0
        runner = environment.create_local_runner()
        try:
            self._spawn(runner)
            return self._measure(runner)
        finally:
            self._health.stop()
            runner.quit()

    def _spawn(self, runner: Any) -> None:
        total = sum(self._users.values())
        # Locust warns of high spawn rates and prints what users raise; we open all connections before anything is
        # measured, and tell of errors ourselves.
        logging.getLogger("locust").setLevel(logging.CRITICAL)
        runner.start(total, spawn_rate=total)
        with gevent.Timeout(
            CONNECT_WITHIN_S, TargetError(f"{total} users could not connect in {CONNECT_WITHIN_S:g} s")
        ):
            while self._ended is None and not self._all_connected(runner, total):
                gevent.sleep(0.005)
        if self._ended is not None and self._ended.error is not None:
            raise _connect_error(self._ended.error, total)

    def _all_connected(self, runner: Any, total: int) -> bool:
        return len(runner.user_greenlets) == total and self._connected >= total

    def _measure(self, runner: Any) -> Ended:
        # What was recorded while connecting belongs to no phase.
        self.recorder.take(0, 0.0, 0.0)
        self._origin_ns = time.perf_counter_ns() + int(HEAD_START_S * NS_PER_S)
        for kit in self._kits:
            kit.origin_ns = self._origin_ns
        # The thread that folds and writes must not keep the interpreter for the usual 5 ms at a time.
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._health.start()
        self._announce_phases()
        dispatcher = gevent.spawn(self.source.dispatch, self._origin_ns, alarm())
        frames = gevent.spawn(self._write_frames)
        observing = gevent.spawn(self._observe)
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
            observing.kill()
        self._write_frame()
        ended = self._ended or Ended("complete")
        return Ended(ended.status, ended.detail, dropped, ended.interrupted_at_s, ended.error)

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
            self.recorder.event(Event(self._elapsed_s(), ended.status, ended.detail))
        self._stop.set()

    def _elapsed_s(self) -> float:
        return (time.perf_counter_ns() - self._origin_ns) / NS_PER_S if self._origin_ns else 0.0

    def _announce_phases(self) -> None:
        start = 0.0
        for phase in self.plan.scenario.phases:
            self.recorder.event(Event(start, "sale_opens" if phase.opens_sale else "phase", phase.name))
            start += phase.duration

    # -- frames

    def _write_frames(self) -> None:
        wait_until = alarm()
        while True:
            wait_until(self._origin_ns + (self._frames + 1) * NS_PER_S)
            self._write_frame()

    def _observe(self) -> None:
        # Apart from the frames: a server that does not answer must not hold them up.
        while True:
            self._server = self.observer.collect()
            gevent.sleep(1.0)

    def _write_frame(self) -> None:
        with self._writing:
            if not self._sink_failed:
                self._write_one_frame()

    def _write_one_frame(self) -> None:
        self._frames += 1
        server, self._server = self._server, {}
        generator = self._health.cell(sum(self._users.values()), self.source.busy, self.source.queued)
        batch = self.recorder.take(self._frames, self._elapsed_s(), time.time())
        # Folding and a commit to disk take milliseconds; on the event loop they would delay every arrival and answer.
        stored = gevent.get_hub().threadpool.apply(self._store, (batch, generator, server))
        if isinstance(stored, Exception):
            self._sink_failed = True
            self._end(Ended("crashed", str(stored), error=stored))
            return
        self.progress(stored)
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
        refused = any(cell.reason in _GONE for cell in frame.retries)
        self._silent_frames = 0 if answered or not refused else self._silent_frames + 1
        if self._silent_frames >= LOST_AFTER_FRAMES:
            self._end(Ended("target_lost", f"no answer and no connection for {LOST_AFTER_FRAMES} s"))

    # -- users

    def _user_classes(self) -> list[type[ShopUser]]:
        scenario, made = self.plan.scenario, []
        for region, count in _split(scenario.users, [r.share for r in scenario.regions], self.plan.target.regions):
            self._users[region] = count
            kit = self._kit(region)
            self._kits.append(kit)
            name = f"{self.plan.user_class.__name__}_{region.replace('-', '_')}"
            members = {"equipment": kit, "fixed_count": count, "abstract": False, "wait_time": lambda _: 0}
            made.append(type(name, (self.plan.user_class,), members))
        return made

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
            failed=self._user_failed,
            connected=self._user_connected,
        )

    def _session(self, region: str, user: ShopUser) -> Session:
        connector = gateway_connector(self.plan.target, region, self.plan.scenario, self.plan.run_id)
        effects = Effects(time.perf_counter_ns, gevent.sleep)
        return Session(region, connector, self.plan.catalogue, user, effects, self.plan.target.distance_s(region))

    def _user_connected(self) -> None:
        self._connected += 1

    def _user_failed(self, error: BaseException) -> None:
        if not isinstance(error, gevent.GreenletExit):
            status: Status = "target_lost" if isinstance(error, TargetError) else "crashed"
            self._end(Ended(status, str(error) or type(error).__name__, error=error))


def _connect_error(error: BaseException, users: int) -> BaseException:
    if isinstance(error, BenchError) or not hasattr(error, "sqlstate"):
        return error
    return TargetError(
        f"not all of {users} users could connect",
        cause=str(error).splitlines()[-1],
        hint="raise the server's connection limit, or pass a smaller --users",
    )


def _split(total: int, shares: list[float], regions: tuple[str, ...]) -> list[tuple[str, int]]:
    """Return at least one user a region, in proportion to the shares."""
    whole = sum(shares)
    return [(region, max(1, round(total * share / whole))) for region, share in zip(regions, shares, strict=True)]


def gateway_connector(target: Target, region: str, scenario: Scenario, run_id: str) -> Callable[[], Connection]:
    """Return a function that connects to the region's next gateway with the scenario's session settings."""
    urls = target.gateways[region]
    options = [f"statement_timeout={int(scenario.statement_timeout * 1000)}"]
    if scenario.isolation:
        options.append(f"default_transaction_isolation={scenario.isolation}")
    turn = 0

    def connector() -> Connection:
        nonlocal turn
        turn += 1
        connection = connect(urls[turn % len(urls)], application=f"shopbench/{run_id}/{region}", options=options)
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
