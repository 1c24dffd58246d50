"""A frame a second: taken from the recorder, stored off the event loop's thread, and looked at for a server that is gone."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

import gevent
from gevent.lock import Semaphore

from bench.load.clock import WallClock, alarm
from bench.metrics.frame import Event, Frame, GeneratorCell
from bench.metrics.recorder import Batch, Recorder
from bench.units import NS_PER_S


class FrameSink(Protocol):
    """Takes each frame as it ends; called off the event loop's thread."""

    def __call__(self, frame: Frame) -> None:
        """Store a frame."""
        ...


@dataclass(slots=True)
class FrameWriter:
    """Writes the frames of a process.

    ``generator`` and ``server`` say how the process and the server are, ``written`` takes each frame that was stored,
    ``failed`` what kept one from it: after that nothing is written any more.
    """

    recorder: Recorder
    sink: FrameSink
    worker: str
    elapsed_s: Callable[[], float]
    generator: Callable[[], GeneratorCell]
    server: Callable[[], dict[str, float]]
    written: Callable[[Frame], None]
    failed: Callable[[Exception], None]
    writing: Semaphore = field(default_factory=Semaphore)
    """Held while a frame is written: whoever has it may end ``run`` without losing one."""
    _wall: WallClock = field(default_factory=WallClock)
    _has_failed: bool = False
    _count: int = 0

    def run(self, origin_ns: int) -> None:
        """Write a frame at each full second from a time of ``perf_counter_ns`` on, until killed."""
        wait_until = alarm()
        while True:
            wait_until(origin_ns + (self._count + 1) * NS_PER_S)
            self.write()

    def write(self) -> None:
        """Write what was recorded since the last frame."""
        with self.writing:
            if not self._has_failed:
                self._write()

    def _write(self) -> None:
        self._count += 1
        server = self.server()
        generator = replace(self.generator(), worker=self.worker)
        unix_s, stepped_s = self._wall.read()
        if stepped_s:
            self.recorder.event(Event(self.elapsed_s(), "clock_step", f"the wall clock was set by {stepped_s:+.3g} s"))
        batch = self.recorder.take(self._count, self.elapsed_s(), unix_s)
        # Folding and a commit to disk take milliseconds; on the event loop they would delay every arrival and answer.
        stored = gevent.get_hub().threadpool.apply(self._store, (batch, generator, server))
        if isinstance(stored, Exception):
            self._has_failed = True
            self.failed(stored)
            return
        self.written(stored)

    def _store(self, batch: Batch, generator: GeneratorCell, server: dict[str, float]) -> Frame | Exception:
        # The top frame of a thread: what is raised here gevent would print, with everything that the engine holds.
        try:
            frame = batch.fold(generator, server)
            self.sink(frame)
        except Exception as error:
            return error
        return frame


@dataclass(slots=True)
class Silence:
    """How long nothing has been answered while connections were lost or refused."""

    _answered_s: float = 0.0
    """The end of the last frame that was no part of an outage."""
    _is_out: bool = False
    """Whether connections were lost or refused, and nothing was answered since."""

    def after(self, frame: Frame, *, is_busy: bool) -> float:
        """Return it in seconds, as of the end of a frame; ``is_busy`` says that somebody waits for an answer."""
        answered = any(cell.count > cell.errors for cell in frame.statements)
        self._is_out = not answered and is_busy and (self._is_out or bool(frame.disconnects))
        if not self._is_out:
            self._answered_s = frame.elapsed_s
        return frame.elapsed_s - self._answered_s
