"""The scenario file as a model.  Every key is checked; ``parse`` reports all faults at once with their paths."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt, ValidationInfo, model_validator

from bench.scenario.distances import LONGEST_MS, parse_round_trips
from bench.scenario.objectives import Sentence
from bench.scenario.traces import TOTAL, Trace, parse_trace
from bench.scenario.values import (
    CheckShape,
    CheckUsers,
    Duration,
    Ends,
    Faults,
    Hour,
    Name,
    Pause,
    Rate,
    UserClass,
    nearest,
)

DEFAULT_REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")
UTC_OFFSETS = {"us-east": -5.0, "us-west": -8.0, "eu-west": 0.0, "asia-pac": 8.0}
"""Hours ahead of UTC of the default regions."""

Isolation = Literal["serializable", "repeatable read", "read committed"]
Think = Literal["exponential", "lognormal", "constant"]
_HALF_LIVES_A_PHASE = 6
_KEYS_OF_SHAPES = {"steps": "step", "half_life": "spike", "period": "diurnal", "trace": "trace"}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _text_of(file: str, info: ValidationInfo) -> str:
    if not info.context or "read" not in info.context:
        raise ValueError(f"'{file}' cannot be read from here")
    try:
        text: str = info.context["read"](file)
    except OSError as error:
        raise ValueError(f"cannot read '{file}': {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"'{file}' is not UTF-8 text") from None
    return text


def _trace(value: Any, info: ValidationInfo) -> Any:
    return parse_trace(_text_of(value, info), value) if isinstance(value, str) else value


def _distances(value: Any, info: ValidationInfo) -> Any:
    """Return the round trips from the first region, where a file of them all is named."""
    if not isinstance(value, str):
        return value
    found = parse_round_trips(_text_of(value, info), value)
    regions = [region.name for region in info.data.get("regions", ())]
    for region in regions:
        if region not in found:
            raise ValueError(f"'{value}' has no region '{region}'")
    return {region: found[regions[0]][region] for region in regions}


class Phase(_Strict):
    """A stretch of the run, with the rate of each kind of session over it."""

    name: Name
    duration: Duration
    measured: bool = True
    """False for warm-up and cool-down: they run, but the figures leave them out."""
    opens_sale: bool = False
    """The phase begins with t0 of a sale."""
    rate: dict[str, Rate] = Field(default_factory=dict)
    """Sessions offered per second by session name, over all regions or by region; weights where the shape is a trace."""
    shape: Annotated[Literal["ramp", "step", "spike", "diurnal", "trace"], CheckShape] = "ramp"
    """How a pair of rates is run through."""
    steps: int = Field(default=5, ge=2, le=1000)
    half_life: Duration | None = None
    """Of a spike's height above the rate it decays to; None is a sixth of the phase."""
    period: Duration | None = None
    """Length of a day; None is the phase's duration."""
    trace: Annotated[Trace | None, BeforeValidator(_trace)] = None
    burst: dict[str, NonNegativeInt] = Field(default_factory=dict)
    """Sessions due at the phase's first instant, over all regions by their shares."""

    @model_validator(mode="after")
    def _fitting(self) -> Self:
        Faults.check(self._faults())
        return self

    def _faults(self) -> Iterator[str]:
        for key, shape in _KEYS_OF_SHAPES.items():
            if key in self.model_fields_set and self.shape != shape:
                yield f'{key}: goes with shape = "{shape}" only, not "{self.shape}"'
        if self.shape == "trace":
            yield from self._trace_faults()

    def _trace_faults(self) -> Iterator[str]:
        if self.trace is None:
            yield "trace: is missing"
        elif self.trace.length_s < self.duration:
            yield f"duration: {self.duration:g} s, but '{self.trace.file}' ends after {self.trace.length_s:g} s"
        if not self.rate:
            yield "rate: is missing (the weight of each session in the trace's rate)"
        for name, first, last in ((name, *ends) for name, _, ends in self.each_rate()):
            if first != last:
                yield f"rate.{name}: is a weight in a trace, so one number and not a pair"

    def each_rate(self) -> Iterator[tuple[str, str | None, Ends]]:
        """Yield (session, region or None for all, ends) of every rate."""
        for session, rate in self.rate.items():
            if isinstance(rate, dict):
                yield from ((session, region, ends) for region, ends in rate.items())
            else:
                yield session, None, rate

    @property
    def decay_s(self) -> float:
        """The half-life of a spike in seconds."""
        return self.half_life or self.duration / _HALF_LIVES_A_PHASE

    @property
    def day_s(self) -> float:
        """The length of a day in seconds."""
        return self.period or self.duration

    @property
    def offers_any(self) -> bool:
        """Whether anything at all is offered."""
        return any(sum(ends) > 0 for _, _, ends in self.each_rate()) or any(self.burst.values())


class Workload(_Strict):
    """Whose users run, and with which settings."""

    user: UserClass
    settings: dict[str, Any] = Field(default_factory=dict)


class Retry(_Strict):
    """How often and how fast an attempt that the server ended is repeated (full-jitter exponential back-off)."""

    max_attempts: int = Field(default=12, ge=1)
    base_ms: float = Field(default=2.0, gt=0)
    cap_ms: float = Field(default=500.0, gt=0)
    budget: Duration = 20.0


class Region(_Strict):
    """One region's share of the arrivals, and its time of day."""

    name: str
    share: float = Field(default=1.0, gt=0)
    utc_offset: float | None = Field(default=None, ge=-12, le=14)
    """Hours ahead of UTC; None is that of a default region, 0 for any other."""
    peak_at: Hour = 20.0
    """Local hour of the day's peak."""

    @property
    def peak_utc(self) -> float:
        """The hour of the day's peak in UTC, from 0 to 24."""
        offset = UTC_OFFSETS.get(self.name, 0.0) if self.utc_offset is None else self.utc_offset
        return (self.peak_at - offset) % 24


class Matrix(_Strict):
    """What a bake-off crosses: every strategy with every isolation level."""

    strategy: tuple[str, ...] = ()
    isolation: tuple[Isolation, ...] = ()

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        given = {"strategy": self.strategy, "isolation": self.isolation}
        Faults.check(f"{key}: values repeat ({', '.join(v)})" for key, v in given.items() if len(set(v)) < len(v))
        return self

    @property
    def runs(self) -> int:
        """How many runs the whole of it is."""
        return max(1, len(self.strategy)) * max(1, len(self.isolation))


class Scenario(_Strict):
    """One question about the shop, and the load that answers it."""

    name: Name
    question: str
    workload: Workload
    model: Literal["open", "closed"] = "open"
    phases: tuple[Phase, ...] = Field(min_length=1)
    users: Annotated[int | Literal["auto"], CheckUsers] = "auto"
    """Size of the pool of users over all regions; each holds one connection."""
    max_users: int = Field(default=200, ge=1)
    """What ``auto`` may come to."""
    session_time: dict[str, Duration] = Field(default_factory=dict)
    """How long a session takes its user, for ``auto``; estimated from its statements where it is not given."""
    think_time: Pause = 0.0
    """Closed model: mean seconds between a user's sessions."""
    think: Think = "exponential"
    """Closed model: how think times are distributed."""
    regions: tuple[Region, ...] = tuple(Region(name=name) for name in DEFAULT_REGIONS)
    distance_ms: Annotated[dict[str, float], BeforeValidator(_distances)] = Field(default_factory=dict)
    """Round-trip time to the server's region, for targets where distance is emulated; in a file, a matrix's file."""
    isolation: Isolation | None = None
    """None leaves the server's default."""
    statement_timeout: Duration = 15.0
    drain: Duration = 10.0
    """How long sessions in flight may take to end once arrivals have stopped."""
    retry: Retry = Retry()
    give_up_after: Duration = 15.0
    """How long nothing may be answered, with connections lost or refused, before the run ends: its server is gone."""
    audit_every: Duration | None = None
    """Audit from one snapshot every so often while the run goes on; None audits at its end only."""
    counters: bool = True
    """Read the server's own counters at the start and after each phase."""
    on_lost_worker: Literal["rebalance", "stop"] = "rebalance"
    """What becomes of the arrivals of a worker process that is lost."""
    matrix: Matrix | None = None
    objectives: tuple[Sentence, ...] = ()
    """What must hold for a run to pass, each as a sentence."""
    seed: int = Field(default=1, ge=0)
    scale: str = "small"
    zipf: float = Field(default=1.0, ge=0, le=2)
    """Exponent of the products' popularity in the seeded data."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        Faults.check([*self._faults(), *self._region_faults(), *self._model_faults()])
        return self

    def _faults(self) -> Iterator[str]:
        names = [phase.name for phase in self.phases]
        if len(set(names)) < len(names):
            yield f"phases: names repeat ({', '.join(names)})"
        if not any(phase.offers_any for phase in self.phases):
            yield "phases: every rate is zero"
        if not any(phase.measured for phase in self.phases):
            yield "phases: none is measured"
        texts = [objective.text for objective in self.objectives]
        yield from (f"objectives: '{text}' is there twice" for text in sorted(set(texts)) if texts.count(text) > 1)
        for session in self.session_time:
            if session not in self.session_names:
                yield f"session_time.{session}: no phase offers it{nearest(session, self.session_names)}"

    def _region_faults(self) -> Iterator[str]:
        known = [region.name for region in self.regions]
        for number, objective in enumerate(self.objectives):
            if objective.region and objective.region not in known:
                yield f"objectives[{number}]: no region '{objective.region}'{nearest(objective.region, known)}"
        if len(set(known)) < len(known):
            yield f"regions: names repeat ({', '.join(known)})"
        for region, distance_ms in self.distance_ms.items():
            if region not in known:
                yield f"distance_ms.{region}: no such region{nearest(region, known)}"
            if not 0 <= distance_ms < LONGEST_MS:
                yield f"distance_ms.{region}: {distance_ms:g} ms is not within a minute"
        for number, phase in enumerate(self.phases):
            named = [(f"rate.{session}", region) for session, region, _ in phase.each_rate() if region]
            named += [("trace", column) for column in (phase.trace.rates if phase.trace else ()) if column != TOTAL]
            for key, region in named:
                if region not in known:
                    yield f"phases[{number}].{key}: no region '{region}'{nearest(region, known)}"

    def _model_faults(self) -> Iterator[str]:
        if self.model == "open":
            return
        if self.users == "auto":
            yield "users: a closed model needs their number"
        for number, phase in enumerate(self.phases):
            if phase.shape != "ramp":
                yield f"phases[{number}].shape: means nothing in a closed model, where users set the pace"
            if phase.burst:
                yield f"phases[{number}].burst: means nothing in a closed model, where users set the pace"

    @property
    def duration_s(self) -> float:
        """Seconds from the first arrival's phase to the end of the last."""
        return sum(phase.duration for phase in self.phases)

    @property
    def session_names(self) -> tuple[str, ...]:
        """Every kind of session that some phase offers, in order of first mention."""
        return tuple(dict.fromkeys(name for phase in self.phases for name in (*phase.rate, *phase.burst)))
