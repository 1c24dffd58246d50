"""Waking up on time: a timerfd on Linux, gevent's timer elsewhere.

gevent rounds a sleep up to whole milliseconds (measured 0.55 ms late at the median, 1.1 ms at p99); a timerfd watcher is
0.03 to 0.06 ms late.  ``perf_counter`` and the timerfd both read CLOCK_MONOTONIC on Linux, so an absolute time needs no
conversion.  A step of the wall clock moves neither: arrivals and durations are not touched by it, only the dates of frames
(``unix_s``) follow the wall clock, with an event that says by how much it was set.
"""

import ctypes
import os
import struct
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import gevent

from bench.units import NS_PER_S

_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1


STEP_S = 0.1
"""How far the wall clock must move against the monotonic one between two readings to have been set: slewing, at most
500 ppm (adjtimex(2)), moves it half a millisecond a second."""


@dataclass(slots=True)
class WallClock:
    """The wall clock, watched for being set while a run goes on."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], int] = time.perf_counter_ns
    _offset_s: float = field(init=False)

    def __post_init__(self) -> None:
        self._offset_s = self._read()[1]

    def _read(self) -> tuple[float, float]:
        unix_s = self.wall()
        return unix_s, unix_s - self.steady() / NS_PER_S

    def read(self) -> tuple[float, float]:
        """Return the wall clock's time, and by how many seconds it was set since the last reading; 0 where it was not."""
        unix_s, offset_s = self._read()
        moved_s, self._offset_s = offset_s - self._offset_s, offset_s
        return unix_s, moved_s if abs(moved_s) >= STEP_S else 0.0


def alarm() -> Callable[[int], None]:
    """Return a function that waits until a ``perf_counter_ns`` time, for the greenlet that calls it."""
    if sys.platform == "linux":
        made = _timerfd_alarm()
        if made is not None:
            return made
    return _sleep_until


def _sleep_until(due_ns: int) -> None:
    left = due_ns - time.perf_counter_ns()
    if left > 0:
        gevent.sleep(left / NS_PER_S)


def _timerfd_alarm() -> Callable[[int], None] | None:
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "timerfd_create"):
        return None
    descriptor = libc.timerfd_create(_CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
    if descriptor < 0:
        return None
    hub = gevent.get_hub()
    watcher = hub.loop.io(descriptor, 1)
    setting = ctypes.create_string_buffer(32)

    def wait_until(due_ns: int) -> None:
        if due_ns <= time.perf_counter_ns():
            return
        struct.pack_into("qqqq", setting, 0, 0, 0, *divmod(due_ns, NS_PER_S))
        libc.timerfd_settime(descriptor, _ABSOLUTE, setting, None)
        hub.wait(watcher)
        os.read(descriptor, 8)

    return wait_until
