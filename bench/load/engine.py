"""One process's part of a run: users connected, arrivals on time, a frame a second, an orderly end whatever happens.

Locust spawns and stops the users; what is measured goes through our recorder, because Locust's statistics round latencies
to milliseconds and know neither intended starts nor attempts.  A run of one process is one engine (``run``); in a run of
several each worker has one and a coordinator tells it when to begin (``play``).
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import gevent
from gevent.event import Event as Signal

from bench.errors import TargetError
from bench.load import locust
from bench.load.beside import Companion
from bench.load.clock import alarm
from bench.load.framing import FrameSink, FrameWriter, Silence
from bench.load.gateways import connect_error
from bench.load.health import Health
from bench.load.plan import Ended, Plan, Status, marks
from bench.load.seats import Seats, hush_locust
from bench.load.sidelines import ServerObserver, Sidelines
from bench.load.sources import ClosedSource, OpenSource
from bench.load.user import ShopUser
from bench.load.web import WebPage
from bench.load.wishes import Wishes
from bench.metrics.frame import Event, Frame, GeneratorCell
from bench.metrics.recorder import Recorder
from bench.scenario.schedule import Schedule
from bench.units import NS_PER_S

CONNECT_WITHIN_S = 60.0
HEAD_START_S = 0.3
SWITCH_INTERVAL_S = 0.0005
STOP_WITHIN_S = 5.0


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
    _seats: Seats = field(init=False)
    _frames: FrameWriter = field(init=False)
    _stop: Signal = field(init=False)
    _sidelines: Sidelines | None = None
    _ended: Ended | None = None
    _health: Health = field(default_factory=Health)
    _silence: Silence = field(default_factory=Silence)
    _hurried: bool = False
    _origin_ns: int = 0

    def __post_init__(self) -> None:
        scenario = self.plan.scenario
        self.recorder = Recorder(tuple(phase.name for phase in scenario.phases))
        wishes = Wishes(self.plan.user_class, self.plan.state, self.recorder)
        self.source = (
            OpenSource(scenario, self.plan.schedule, self.recorder, wishes.missed)
            if scenario.model == "open"
            else ClosedSource(scenario, scenario.seed, self.recorder, self.plan.players)
        )
        self._stop = Signal()
        if self.observer is not None:
            self._sidelines = Sidelines(self.observer, self.companions, self.recorder)
        self._seats = Seats(self.plan, self.source, self.recorder, self._user_failed)
        self.seat(self.plan.users)
        self._frames = FrameWriter(
            recorder=self.recorder,
            sink=self.sink,
            worker=self.worker,
            elapsed_s=self._elapsed_s,
            generator=self._generator,
            server=self._server,
            written=self._frame_written,
            failed=lambda error: self._end(Ended("crashed", str(error), error=error)),
        )

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
        return self._seats.total

    def await_users(self, runner: Any) -> None:
        """Return when every user has its connection; raises what kept one from it, TargetError when it takes too long."""
        total = self.total
        with gevent.Timeout(
            CONNECT_WITHIN_S, TargetError(f"{total} users could not connect in {CONNECT_WITHIN_S:g} s")
        ):
            while self._ended is None and not self._all_connected(runner, total):
                gevent.sleep(0.005)
        if self._ended is not None and self._ended.error is not None:
            raise connect_error(self._ended.error, total)
        # What was recorded while connecting belongs to no phase.
        self.recorder.take(0, 0.0, 0.0)

    def _all_connected(self, runner: Any, total: int) -> bool:
        return len(runner.user_greenlets) == total and self._seats.connected >= total

    def play(self, runner: Any, origin_ns: int) -> Ended:
        """Play the plan from a time of ``perf_counter_ns`` on, with users that are connected; return how it ended."""
        try:
            return self._measure(runner, origin_ns)
        finally:
            self._health.stop()

    def _measure(self, runner: Any, origin_ns: int) -> Ended:
        self._origin_ns = origin_ns
        self._seats.begin(origin_ns)
        # The thread that folds and writes must not keep the interpreter for the usual 5 ms at a time.
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._health.start()
        dispatcher = gevent.spawn(self.source.dispatch, self._origin_ns, alarm())
        frames = gevent.spawn(self._frames.run, origin_ns)
        if self._sidelines is not None:
            self._sidelines.start(origin_ns)
        finisher = gevent.spawn(self._finish_when_done, dispatcher)
        self._stop.wait()
        finisher.kill()
        dispatcher.kill()
        dropped = self._wind_down()
        # What is still in flight ends now, so that the last frame holds it as unfinished.
        runner.user_greenlets.kill(block=True, timeout=STOP_WITHIN_S)
        with self._frames.writing:
            # Nothing is being written now, so the greenlet can be ended without losing a frame.
            frames.kill()
        if self._sidelines is not None:
            self._sidelines.stop()
            self._sidelines.end(self._elapsed_s())
        self._frames.write()
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
        dropped = self.source.close(self._seats.users)
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

    def _generator(self) -> GeneratorCell:
        return self._health.cell(self.total, self.source.busy, self.source.queued)

    def _server(self) -> dict[str, float]:
        return {} if self._sidelines is None else self._sidelines.take()

    def _frame_written(self, frame: Frame) -> None:
        self.progress(frame)
        if self.page is not None:
            self.page.show(frame)
        self._watch_target(frame)

    def _watch_target(self, frame: Frame) -> None:
        if not self.plan.target.is_alive():
            self._end(Ended("target_lost", "the server's process has ended"))
            return
        patience_s = self.plan.scenario.give_up_after
        if self._silence.after(frame, is_busy=self.source.busy > 0) >= patience_s:
            self._end(Ended("target_lost", f"no answer and no connection for {patience_s:g} s"))

    # -- users

    def user_class(self) -> type[ShopUser]:
        """Return the class that Locust spawns."""
        return self._seats.user_class()

    def seat(self, users: Mapping[str, int]) -> None:
        """Make room for more users, by region; they sit down as Locust spawns them."""
        self._seats.add(users)

    def adopt(self, part: Schedule) -> None:
        """Take over arrivals of a worker that was lost, besides one's own; only in an open model."""
        assert isinstance(self.source, OpenSource)
        self.source.adopt(part)

    def _user_failed(self, error: BaseException) -> None:
        if not isinstance(error, gevent.GreenletExit):
            status: Status = "target_lost" if isinstance(error, TargetError) else "crashed"
            self._end(Ended(status, str(error) or type(error).__name__, error=error))
