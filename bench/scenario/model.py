"""The scenario file as a model.  Every key is checked; ``parse`` reports all faults at once with their paths."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from bench.units import parse_duration, parse_rate

DEFAULT_REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")
_IDENTIFIER = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")

Isolation = Literal["serializable", "repeatable read", "read committed"]


def _duration(value: Any) -> float:
    seconds = parse_duration(value) if isinstance(value, str) else float(value)
    if seconds <= 0:
        raise ValueError(f"'{value}' is not longer than zero")
    return seconds


def _rate(value: Any) -> float:
    return parse_rate(value) if isinstance(value, str) else float(value)


def _ramp(value: Any) -> tuple[float, float]:
    ends = value if isinstance(value, (list, tuple)) else (value, value)
    if len(ends) != 2:
        raise ValueError(f"{value} is not a rate or a pair [from, to]")
    start, end = (_rate(end) for end in ends)
    if start < 0 or end < 0:
        raise ValueError(f"{value} is below zero")
    return start, end


def _name(value: str) -> str:
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError(f"'{value}' is not a name (want lower case letters, digits, '-' or '_')")
    return value


def _user_class(value: str) -> str:
    if not re.fullmatch(r"[\w.]+:\w+", value):
        raise ValueError(f"'{value}' is not a user class (want 'module:Class')")
    return value


Duration = Annotated[float, BeforeValidator(_duration)]
Ramp = Annotated[tuple[float, float], BeforeValidator(_ramp)]
Name = Annotated[str, BeforeValidator(_name)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Phase(_Strict):
    """A stretch of the run with one rate, or a straight ramp between two, for each kind of session."""

    name: Name
    duration: Duration
    measured: bool = True
    """False for warm-up and cool-down: they run, but the figures leave them out."""
    opens_sale: bool = False
    """The phase begins with t0 of a sale."""
    rate: dict[str, Ramp] = Field(default_factory=dict)
    """Sessions offered per second over all regions, by session name."""


class Workload(_Strict):
    """Whose users run, and with which settings."""

    user: Annotated[str, BeforeValidator(_user_class)]
    settings: dict[str, Any] = Field(default_factory=dict)


class Retry(_Strict):
    """How often and how fast an attempt that the server ended is repeated (full-jitter exponential back-off)."""

    max_attempts: int = Field(default=12, ge=1)
    base_ms: float = Field(default=2.0, gt=0)
    cap_ms: float = Field(default=500.0, gt=0)
    budget: Duration = 20.0


class Region(_Strict):
    """One region's share of the arrivals."""

    name: str
    share: float = Field(default=1.0, gt=0)


class Scenario(_Strict):
    """One question about the shop, and the load that answers it."""

    name: Name
    question: str
    workload: Workload
    model: Literal["open", "closed"] = "open"
    phases: tuple[Phase, ...] = Field(min_length=1)
    users: int = Field(default=160, ge=1)
    """Size of the pool of users over all regions; each holds one connection."""
    think_time: float = Field(default=0.0, ge=0)
    """Closed model: mean seconds (exponential) between a user's sessions."""
    regions: tuple[Region, ...] = tuple(Region(name=name) for name in DEFAULT_REGIONS)
    distance_ms: dict[str, float] = Field(default_factory=dict)
    """Round-trip time to the server's region, for targets where distance is emulated."""
    isolation: Isolation | None = None
    """None leaves the server's default."""
    statement_timeout: Duration = 15.0
    drain: Duration = 10.0
    """How long sessions in flight may take to end once arrivals have stopped."""
    retry: Retry = Retry()
    seed: int = 1
    scale: str = "small"
    zipf: float = Field(default=1.0, ge=0, le=2)
    """Exponent of the products' popularity in the seeded data."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            raise ValueError(f"phases: names repeat ({', '.join(names)})")
        if not any(sum(ramp) > 0 for phase in self.phases for ramp in phase.rate.values()):
            raise ValueError("phases: every rate is zero")
        if not any(phase.measured for phase in self.phases):
            raise ValueError("phases: none is measured")
        return self

    @property
    def duration_s(self) -> float:
        """Seconds from the first arrival's phase to the end of the last."""
        return sum(phase.duration for phase in self.phases)

    @property
    def session_names(self) -> tuple[str, ...]:
        """Every kind of session that some phase offers, in order of first mention."""
        return tuple(dict.fromkeys(name for phase in self.phases for name in phase.rate))

    @property
    def peak_rate(self) -> float:
        """The highest rate over all sessions, in sessions per second."""
        return max(max(sum(r[end] for r in phase.rate.values()) for end in (0, 1)) for phase in self.phases)
