"""The workers of a run as the coordinator sees them."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bench.errors import BenchError, NotValidError, TargetError, UsageError
from bench.scenario.schedule import Schedule
from bench.team.framebook import Lateness
from bench.team.losses import Ledger
from bench.team.messages import Hello
from bench.team.shares import Serving, Share

EXCHANGES = 24
"""Of the clock with each worker; the one with the shortest round trip says most."""

State = Literal["joined", "ready", "connected", "playing", "ended", "lost"]


@dataclass(frozen=True, slots=True)
class Offset:
    """How far a worker's clock is ahead of ours, and the round trip of the exchange that says so.

    The true offset is within half a round trip of it (D. Mills, RFC 5905, section 8).
    """

    offset_ns: int = 0
    rtt_ns: int = 0

    @classmethod
    def of(cls, sent_ns: int, there_ns: int, back_ns: int, received_ns: int) -> "Offset":
        """Return what one exchange says: sent and received by our clock, ``there`` and ``back`` by the worker's."""
        offset = ((there_ns - sent_ns) + (back_ns - received_ns)) // 2
        return cls(offset, (received_ns - sent_ns) - (back_ns - there_ns))


@dataclass(slots=True)
class Member:
    """One worker."""

    name: str
    client: str
    hello: Hello
    share: Share = field(default_factory=lambda: Share({}, (), {}))
    parts: list[Schedule] = field(default_factory=list)
    """The arrivals that are its own, of which more come to it when another is lost."""
    state: State = "joined"
    clock: Offset = field(default_factory=Offset)
    ledger: Ledger = field(default_factory=Ledger)
    heard_s: float = 0.0
    """When its last frame ended."""
    lost_s: float | None = None
    detail: str = ""
    pong: tuple[int, int, int, int] | None = None
    """(number, there, back, received) of the last exchange of clocks."""

    @property
    def serving(self) -> Serving:
        """The regions it may have users in; None for all."""
        return frozenset(self.hello.regions) or None

    @property
    def is_live(self) -> bool:
        """Whether more is expected of it."""
        return self.state not in ("ended", "lost")

    def record(self) -> "WorkerRecord":
        """Return what is kept of it with the run."""
        return WorkerRecord(
            self.name,
            self.hello.place,
            tuple(self.share.users),
            self.clock.offset_ns,
            self.clock.rtt_ns,
            sum(self.share.users.values()),
            self.lost_s,
            self.detail,
        )


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker as the run store and the manifest keep it; ``lost_s`` is None for one that played to the end."""

    worker: str
    place: str
    regions: tuple[str, ...]
    offset_ns: int
    rtt_ns: int
    users: int
    lost_s: float | None
    detail: str


def measure(member: Member, ping: Callable[[int], object], await_pong: Callable[[int], bool]) -> Offset:
    """Return a worker's offset by ``EXCHANGES`` exchanges, as NTP does; fewer when ``await_pong`` says that it is over."""
    best: Offset | None = None
    for number in range(1, EXCHANGES + 1):
        sent = time.perf_counter_ns()
        ping(number)
        if not await_pong(number) or member.pong is None:
            break
        found = Offset.of(sent, *member.pong[1:])
        if best is None or found.rtt_ns < best.rtt_ns:
            best = found
    return best or Offset()


def late_text(name: str, late: Lateness, limit_s: float) -> str:
    """Return the reason that a late worker is for not trusting a run."""
    return (
        f"worker {name} was late: its frame of {late.at_s:.0f} s came {late.worst_s:.1f} s after it ended "
        f"(limit {limit_s:g} s)"
    )


def error_data(error: BaseException) -> dict[str, Any]:
    """Return an error as a message's data."""
    return {
        "type": type(error).__name__,
        "message": str(getattr(error, "message", "") or error or type(error).__name__),
        "cause": getattr(error, "cause", None),
        "hint": getattr(error, "hint", None),
    }


class WorkerCrashError(Exception):
    """A worker's code raised; its message holds the worker's name and the error."""


_ERRORS: dict[str, type[BenchError]] = {error.__name__: error for error in (UsageError, TargetError, NotValidError)}


def error_of(name: str, data: Mapping[str, Any]) -> Exception:
    """Return a worker's error as one of ours, with its name; what a workload raised is a WorkerCrashError."""
    kind, message = str(data.get("type")), str(data.get("message"))
    known = _ERRORS.get(kind)
    if known is None:
        return WorkerCrashError(f"worker {name}: {kind}: {message}")
    return known(f"worker {name}: {message}", cause=data.get("cause"), hint=data.get("hint"))
