"""A run of several processes: workers gathered, the load shared out, clocks compared, frames merged, losses written off.

The coordinator puts no load on the database.  It listens as Locust's master, has the sidelines of the run, and takes one
message after another in one greenlet, so that nothing here needs a lock.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import gevent

from bench.errors import BenchError, TargetError, UsageError
from bench.load.beside import Companion
from bench.load.engine import CONNECT_WITHIN_S
from bench.load.plan import Ended, Plan, Status, marks
from bench.load.sidelines import ServerObserver, Sidelines
from bench.metrics.frame import Event, Frame
from bench.metrics.recorder import Recorder
from bench.team import messages
from bench.team.briefing import Briefing, part_of
from bench.team.framebook import PATIENCE_S, Collected, FrameBook, Rows, Sent
from bench.team.members import Member, Offset, WorkerRecord, error_of, late_text, measure
from bench.team.office import Letter, Office
from bench.team.roster import Crew, Roster
from bench.team.shares import share_out
from bench.team.succession import Succession
from bench.units import NS_PER_S

JOIN_WITHIN_S = 60.0
PREPARE_WITHIN_S = 120.0
PONG_WITHIN_S = 5.0
HEAD_START_S = 0.5
END_WITHIN_S = 30.0
"""After the drain a worker that has not ended by itself is given up."""
_TICK_S = 0.25


class MergedSink(Protocol):
    """Takes each frame as it is whole; called off the event loop's thread."""

    def write(self, own: Frame, parts: Sequence[Rows]) -> Frame:
        """Store the coordinator's own part and the workers', and return what progress is to show."""
        ...

    def write_late(self, number: int, rows: Rows) -> None:
        """Store a part whose frame has been stored without it."""
        ...


@dataclass(slots=True)
class Coordinator:
    """Drives one plan by workers.  ``interrupt`` may be called at any time, also from a signal handler."""

    plan: Plan
    briefing: Briefing
    crew: Crew
    sink: MergedSink
    observer: ServerObserver
    progress: Callable[[Frame], None]
    tell: Callable[[str], None] = field(default=lambda _: None)
    """Takes a line for the user."""
    gathered: Callable[[Sequence[WorkerRecord]], None] = field(default=lambda _: None)
    """Told of the workers before the first arrival."""
    companions: Sequence[Companion] = ()
    recorder: Recorder = field(init=False)
    _roster: Roster = field(init=False)
    _succession: Succession = field(init=False)
    _sidelines: Sidelines = field(init=False)
    _office: Office = field(init=False)
    _book: FrameBook = field(default_factory=lambda: FrameBook(set()))
    _ended: Ended | None = None
    _ending_s: float | None = None
    _origin_ns: int = 0
    _deadline_s: float = 0.0
    _dropped: int = 0

    def __post_init__(self) -> None:
        scenario = self.plan.scenario
        self.recorder = Recorder(tuple(phase.name for phase in scenario.phases))
        self._sidelines = Sidelines(self.observer, self.companions, self.recorder)
        self._roster = Roster(self.crew, [region.name for region in scenario.regions], self.tell)
        self._succession = Succession(self.plan, self._roster, self.recorder, self.tell)

    @property
    def workers(self) -> tuple[WorkerRecord, ...]:
        """What is to be kept of the workers."""
        return self._roster.records()

    def interrupt(self, *, at_once: bool = False) -> None:
        """Stop arrivals, let sessions in flight end (or not, ``at_once``), and finish the run as interrupted."""
        self._end("interrupted", "stopped by the user", at_once=at_once)

    def run(self) -> Ended:
        """Return how the run ended; everything that came from the workers has been handed to the sink by then."""
        self._office = Office(self.crew.host, self.crew.port)
        stages = (self._gather, self._share_out, self._connect, self._compare_clocks, self._lead)
        try:
            for stage in stages:
                if self._ended is None:
                    stage()
        finally:
            self._roster.dismiss(self._office)
        late = [late_text(name, late, PATIENCE_S) for name, late in sorted(self._book.late.items())]
        return replace(
            self._ended or Ended("complete"),
            dropped=self._dropped + self._succession.dropped,
            faults=(*self._succession.faults, *late),
            gaps_unix_s=tuple(self._succession.gaps_unix_s),
        )

    # -- before the first arrival

    def _gather(self) -> None:
        gateways = {region: list(urls) for region, urls in self.plan.target.gateways.items()}
        self._roster.start_children(self._office, gateways)
        complaint = TargetError(
            f"not all of {self.crew.total} workers have joined in {JOIN_WITHIN_S:g} s",
            hint="start the others with `bench worker --master HOST:PORT`, or ask for fewer",
        )
        self._until(lambda: len(self._roster.members) == self.crew.total, JOIN_WITHIN_S, complaint)

    def _share_out(self) -> None:
        self._roster.sort()
        members, users = self._roster.live, sum(self.plan.users.values())
        if users < len(members):
            raise UsageError(
                f"there are {len(members)} workers for {users} users", hint="pass more --users, or fewer workers"
            )
        for member, share in zip(members, share_out(self.plan.users, [m.serving for m in members]), strict=True):
            member.share = share
            member.parts = self._succession.arrivals(share)
            self._office.send(member.client, messages.PART, part_of(self.plan, self.briefing, member).text())
        complaint = TargetError(f"not all workers were ready in {PREPARE_WITHIN_S:g} s")
        self._until(lambda: self._roster.all_are("ready"), PREPARE_WITHIN_S, complaint)

    def _connect(self) -> None:
        self._succession.spawn(self._office)
        complaint = TargetError(f"{sum(self.plan.users.values())} users could not connect in {CONNECT_WITHIN_S:g} s")
        self._until(lambda: self._roster.all_are("connected"), CONNECT_WITHIN_S + PONG_WITHIN_S, complaint)

    def _compare_clocks(self) -> None:
        for member in self._roster.live:
            member.clock = self._clock_of(member)

    def _clock_of(self, member: Member) -> Offset:
        complaint = TargetError(f"worker {member.name} did not answer in {PONG_WITHIN_S:g} s")

        def await_pong(number: int) -> bool:
            self._until(lambda: member.pong is not None and member.pong[0] == number, PONG_WITHIN_S, complaint)
            return self._ended is None

        return measure(member, lambda number: self._office.send(member.client, messages.PING, number), await_pong)

    # -- while the run goes on

    def _lead(self) -> None:
        self.gathered(self.workers)
        self._book = FrameBook(set(self._roster.members))
        self._sidelines.begin(marks(self.plan))
        self._origin_ns = time.perf_counter_ns() + int(HEAD_START_S * NS_PER_S)
        for member in self._roster.live:
            member.state = "playing"
            self._office.send(member.client, messages.BEGIN, self._origin_ns + member.clock.offset_ns)
        self._roster.has_begun = True
        self._sidelines.start(self._origin_ns)
        self._deadline_s = self.plan.scenario.duration_s + self.plan.scenario.drain + END_WITHIN_S
        while self._roster.live:
            self._step()
            self._write_due()
            if self._elapsed_s() > self._deadline_s:
                for member in self._roster.live:
                    self._lose(member, "it did not end in time")
        self._sidelines.stop()
        self._sidelines.end(self._elapsed_s())
        self._write_due()
        # What the coordinator itself has recorded since the workers' last frames.
        self._write(Collected(self._book.written + 1, self._elapsed_s(), ()))

    def _elapsed_s(self) -> float:
        return (time.perf_counter_ns() - self._origin_ns) / NS_PER_S if self._origin_ns else 0.0

    def _write_due(self) -> None:
        while True:
            # While a frame was stored others may have come: what nobody has read yet is neither missing nor late.
            while (letter := self._office.next(0.0)) is not None:
                self._read(letter)
            if (collected := self._book.take(self._elapsed_s())) is None:
                return
            self._write(collected)

    def _write(self, collected: Collected) -> None:
        unix_s = time.time() - (self._elapsed_s() - collected.elapsed_s)
        own = self.recorder.take(collected.number, collected.elapsed_s, unix_s).fold(None, self._sidelines.take())
        merged = self._off_thread(lambda: self.sink.write(own, [part.rows for part in collected.parts]))
        if merged is not None:
            self.progress(merged)
        if not self.plan.target.is_alive():
            self._end("target_lost", "the server's process has ended")

    def _off_thread(self, write: Callable[[], Frame | None]) -> Frame | None:
        # A commit to disk takes milliseconds, in which heartbeats would have to wait.
        def guarded() -> Frame | Exception | None:
            try:
                return write()
            except Exception as error:
                return error

        done: Frame | Exception | None = gevent.get_hub().threadpool.apply(guarded)
        if isinstance(done, Exception):
            self._end("crashed", str(done), error=done)
            return None
        return done

    def _end(self, status: Status, detail: str, *, at_once: bool = False, error: BaseException | None = None) -> None:
        """Stop all workers.  The first reason to is the run's, unless a later one is an error."""
        if self._ended is None or (error is not None and self._ended.error is None):
            now_s = self._elapsed_s()
            self._ending_s = now_s if self._ending_s is None else self._ending_s
            self._ended = Ended(
                status, detail, interrupted_at_s=now_s if status == "interrupted" else None, error=error
            )
            self.recorder.event(Event(now_s, status, detail))
            self._deadline_s = now_s + self.plan.scenario.drain + END_WITHIN_S
        for member in self._roster.live:
            self._office.send(member.client, messages.STOP, [status, detail, at_once])

    # -- messages

    def _until(self, reached: Callable[[], bool], within_s: float, complaint: BenchError) -> None:
        """Take messages until something is reached or the run has ended; raises the complaint when it takes too long."""
        deadline = time.monotonic() + within_s
        while not reached() and self._ended is None:
            self._step()
            self._roster.require_children(self._office)
            if time.monotonic() > deadline:
                raise complaint
        if self._ended is not None and self._ended.error is not None:
            raise self._ended.error

    def _step(self) -> None:
        if (letter := self._office.next(_TICK_S)) is not None:
            self._read(letter)
        for member, why in list(self._roster.missing(self._office)):
            self._lose(member, why)

    def _read(self, letter: Letter) -> None:
        member = self._roster.of(letter.client)
        if letter.kind == messages.HELLO:
            self._roster.welcome(self._office, letter)
        elif member is not None:
            self._read_from(member, letter)

    def _read_from(self, member: Member, letter: Letter) -> None:
        match letter.kind:
            case messages.FRAME:
                self._take_frame(member, letter)
            case messages.PONG:
                member.pong = (*letter.data, letter.at_ns)
            case messages.READY:
                member.state = "ready"
            case messages.CONNECTED:
                member.state = "connected"
            case messages.ENDED:
                self._take_end(member, letter.data)

    def _take_frame(self, member: Member, letter: Letter) -> None:
        number, elapsed_s, rows = letter.data
        sent = Sent(member.name, int(number), float(elapsed_s), rows)
        if member.state == "lost":
            # Its sessions have been written off; but that an order was acknowledged is a fact.
            kept = [table for table in rows if table[0] == "journal"]
            self._off_thread(lambda: self.sink.write_late(min(sent.number, self._book.written), kept))
            return
        member.heard_s = sent.elapsed_s
        member.ledger.add(rows)
        if not self._book.add(sent, (letter.at_ns - self._origin_ns) / NS_PER_S):
            self._off_thread(lambda: self.sink.write_late(sent.number, rows))

    def _take_end(self, member: Member, data: Any) -> None:
        status, detail, dropped, error = data
        if member.state == "lost":
            return
        member.state = "ended"
        self._book.leave(member.name)
        self._dropped += dropped
        if error is not None:
            self._end(status, detail, error=error_of(member.name, error))
        elif status not in ("complete", "interrupted"):
            self._end(status, f"{detail} (worker {member.name})")

    def _lose(self, member: Member, why: str) -> None:
        if not self._roster.has_begun:
            words = self._roster.last_words(member.name)
            raise TargetError(f"worker {member.name} was lost before the run began: {why}", cause=words or None)
        self._book.leave(member.name)
        stop = self._succession.lose(self._office, member, why, self._elapsed_s(), self._ending_s)
        if stop:
            self._end("interrupted", stop)
