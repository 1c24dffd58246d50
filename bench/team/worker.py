"""The worker's side of a run of several processes: join, prepare, play the part, ship frames, say how it ended."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import gevent
from gevent.event import Event as Signal
from gevent.queue import Empty, Queue

from bench.errors import BenchError, TargetError, UsageError
from bench.load import locust
from bench.load.engine import Engine
from bench.load.plan import Ended, Plan
from bench.load.seats import hush_locust
from bench.metrics.frame import Frame
from bench.scenario.schedule import Schedule
from bench.team import messages
from bench.team.framebook import Rows
from bench.team.members import error_data
from bench.team.messages import Hello, Part, digest, share_of

ANSWERS_WITHIN_S = 10.0
MASTER_GONE_S = 10.0
"""Without a heartbeat for so long the run is given up: its coordinator is gone, or the network to it."""
_TICK_S = 0.25


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a part has been made into: the plan of this process, and the whole schedule, of which more may come to it."""

    plan: Plan
    whole: Schedule


@dataclass(slots=True)
class Worker:
    """One worker, for one run.

    ``prepare`` makes a plan of a part; ``pack`` makes rows of a frame; ``tell`` takes lines for the user.
    """

    host: str
    port: int
    hello: Hello
    prepare: Callable[[Part], Prepared]
    pack: Callable[[Frame], Rows]
    tell: Callable[[str], None] = field(default=lambda _: None)
    _runner: Any = None
    _inbox: "Queue[tuple[str, Any]]" = field(default_factory=Queue)
    _engine: Engine | None = None
    _prepared: Prepared | None = None
    _stopped: Signal = field(default_factory=Signal)
    _heard_ns: int = field(default_factory=time.perf_counter_ns)
    _is_gone: bool = False
    _rows: Rows = field(default_factory=list)

    def serve(self) -> Ended:
        """Join the coordinator, play one part, and return how it ended; raises what ended it otherwise."""
        hush_locust()
        environment = self._join()
        try:
            self._say(messages.HELLO, self.hello.data())
            self.tell(f"joined    {self.host}:{self.port}, waiting for the run to begin")
            part = Part.of(self._await(messages.PART))
            return self._work(environment, part)
        finally:
            # Tells the coordinator at once that we are gone, whatever the reason.
            environment.events.quitting.fire(environment=environment)
            gevent.sleep(0.05)

    def _join(self) -> Any:
        environment: Any = locust.env.Environment(catch_exceptions=True)
        environment.events.heartbeat_received.add_listener(self._heard)
        environment.stop_timeout = 0
        silent = TargetError(
            f"what listens on {self.host}:{self.port} does not answer as a coordinator of bench",
            hint="pass the address that `bench run … --bind` was given",
        )
        with gevent.Timeout(ANSWERS_WITHIN_S, silent):
            self._runner = environment.create_worker_runner(self.host, self.port)
        for kind in messages.TO_WORKER:
            self._runner.register_message(kind, self._take)
        return environment

    def _work(self, environment: Any, part: Part) -> Ended:
        try:
            engine = self._make_engine(part)
            environment.user_classes = [engine.user_class()]
            self._say(messages.READY)
            self._connect(engine)
            origin_ns = self._await_begin()
            # Stopped before it began: there is nothing to play.
            ended = Ended("interrupted") if origin_ns is None else engine.play(self._runner, origin_ns)
        except Exception as error:
            # What could not be made ready is the coordinator's to tell; here it ends the command.
            status = "target_lost" if isinstance(error, TargetError) else "crashed"
            self._say(messages.ENDED, [status, str(error), 0, error_data(error)])
            self._await_bye()
            raise
        data = None if ended.error is None else error_data(ended.error)
        self._say(messages.ENDED, [ended.status, ended.detail, ended.dropped, data])
        self._await_bye()
        if self._is_gone:
            raise _gone(self.host, self.port)
        return ended

    def _make_engine(self, part: Part) -> Engine:
        self._prepared = self.prepare(part)
        found = digest(self._prepared.whole)
        if found != part.schedule_digest:
            raise UsageError(
                "this process draws another schedule from the seed than the coordinator",
                cause=f"it has {found[:12]}, the coordinator {part.schedule_digest[:12]}",
                hint="install the same versions of bench and numpy on both machines",
            )
        self.tell(f"playing   run {part.run_id} as {part.worker}: {_users(part)}")
        self._engine = Engine(self._prepared.plan, self._sink, None, self._ship, worker=part.worker)
        if self._stopped.is_set():
            self._engine.stop("interrupted", "")
        return self._engine

    def _connect(self, engine: Engine) -> None:
        while not len(self._runner.user_greenlets) and not self._stopped.is_set():
            gevent.sleep(0.01)
        if not self._stopped.is_set():
            engine.await_users(self._runner)
            self._say(messages.CONNECTED)

    # -- frames

    def _sink(self, frame: Frame) -> None:
        # On a thread of its own; the sending is the event loop's.
        self._rows = self.pack(frame)

    def _ship(self, frame: Frame) -> None:
        self._say(messages.FRAME, [frame.number, frame.elapsed_s, self._rows])

    # -- messages

    def _say(self, kind: str, data: Any = None) -> None:
        self._runner.send_message(kind, data)

    def _heard(self, client_id: str, timestamp: float) -> None:  # noqa: ARG002
        self._heard_ns = time.perf_counter_ns()

    def _take(self, environment: Any, msg: Any) -> None:  # noqa: ARG002
        received = time.perf_counter_ns()
        self._heard_ns = received
        match msg.type:
            case messages.PING:
                # At once: what lies between would count as the way there and back.
                self._say(messages.PONG, [msg.data, received, time.perf_counter_ns()])
            case messages.ADOPT:
                # Before Locust's order to spawn the users, which comes next.
                self._adopt(*msg.data)
            case messages.STOP:
                self._stop(*msg.data)
            case _:
                self._inbox.put((msg.type, msg.data))

    def _adopt(self, data: Any, since_ns: int) -> None:
        engine, prepared = self._engine, self._prepared
        if engine is None or prepared is None:
            return
        share = share_of(data)
        players = prepared.plan.players
        for region, numbers in share.players.items():
            if isinstance(players, dict):
                players[region] = (*players.get(region, ()), *numbers)
        engine.seat(share.users)
        if prepared.plan.scenario.model == "open":
            regions = [region.name for region in prepared.plan.scenario.regions]
            for part in share.parts(prepared.whole, regions):
                engine.adopt(part.since(since_ns))
        self.tell(f"took over {sum(share.users.values())} users of a lost worker")

    def _stop(self, status: Any, detail: str, at_once: bool) -> None:
        self._stopped.set()
        self._inbox.put((messages.STOP, None))
        if self._engine is not None:
            self._engine.stop(status, detail, at_once=at_once)

    def _next(self) -> tuple[str, Any] | None:
        try:
            letter: tuple[str, Any] = self._inbox.get(timeout=_TICK_S)
        except Empty:
            letter = None  # type: ignore[assignment]
        self._is_gone = time.perf_counter_ns() - self._heard_ns > MASTER_GONE_S * 1e9
        return letter

    def _await(self, wanted: str) -> Any:
        while True:
            letter = self._next()
            if letter is not None:
                kind, data = letter
                if kind == wanted:
                    return data
                if kind == messages.REFUSED:
                    raise UsageError(
                        f"{self.host}:{self.port} refused this worker: {data}",
                        hint="start it as the run wants it, and with the same version of bench",
                    )
                if kind in (messages.STOP, messages.BYE):
                    raise TargetError(f"the run on {self.host}:{self.port} ended before it began")
            if self._is_gone:
                raise _gone(self.host, self.port)

    def _await_begin(self) -> int | None:
        with suppress(TargetError):
            begin: int = self._await(messages.BEGIN)
            gevent.spawn(self._watch_master)
            return begin
        if self._is_gone:
            raise _gone(self.host, self.port)
        return None

    def _watch_master(self) -> None:
        while True:
            gevent.sleep(1.0)
            if time.perf_counter_ns() - self._heard_ns > MASTER_GONE_S * 1e9 and self._engine is not None:
                self._is_gone = True
                self._engine.stop("interrupted", "the coordinator is gone", at_once=True)
                return

    def _await_bye(self) -> None:
        while not self._is_gone:
            letter = self._next()
            if letter is not None and letter[0] == messages.BYE:
                return


def _gone(host: str, port: int) -> BenchError:
    return TargetError(
        f"the coordinator on {host}:{port} is gone",
        cause=f"no heartbeat for {MASTER_GONE_S:g} s",
        hint="start the worker again when there is another run",
    )


def _users(part: Part) -> str:
    return ", ".join(f"{count} users in {region}" for region, count in part.share.users.items())
