"""What a run was: scenario, target, data, versions, machine; kept as manifest.json, and never with a password."""

import re
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator

from bench.results.versions import MANIFEST_VERSION
from bench.stats.phases import Phase

_PASSWORD_IN_URL = re.compile(r"(://[^/@\s:]*):[^@\s]*@")
_PASSWORD_AS_WORD = re.compile(r"(password\s*=\s*)('[^']*'|[^\s&]+)", re.IGNORECASE)


def without_password(url: str) -> str:
    """Return a connection URL or string with its password left out.

    >>> without_password("postgresql://shop:secret@db:5432/shop?sslmode=require&password=x")
    'postgresql://shop@db:5432/shop?sslmode=require&password=***'
    """
    return _PASSWORD_AS_WORD.sub(r"\1***", _PASSWORD_IN_URL.sub(r"\1@", url))


class _Part(BaseModel):
    # Unknown keys are kept out rather than refused: a newer minor version may add optional ones.
    model_config = ConfigDict(frozen=True, extra="ignore")


class TargetInfo(_Part):
    """The database that was tested, as its server described itself."""

    kind: Literal["embedded", "url", "cluster"]
    dialect: str
    server_version: str
    safe_url: str
    variant: str
    isolation: str
    """That in force in the load's transactions."""
    isolation_asked: str | None = None
    """None where the scenario left it to the server."""
    settings: dict[str, str] = Field(default_factory=dict)
    gateways: dict[str, str] = Field(default_factory=dict)

    @field_validator("safe_url")
    @classmethod
    def _drop_password(cls, url: str) -> str:
        return without_password(url)

    @field_validator("gateways")
    @classmethod
    def _drop_passwords(cls, gateways: dict[str, str]) -> dict[str, str]:
        return {
            region: ", ".join(without_password(url) for url in urls.split(", ")) for region, urls in gateways.items()
        }


class DataInfo(_Part):
    """The data set that the run worked on."""

    scale: str
    seed: int
    fingerprint: str
    rows: dict[str, int] = Field(default_factory=dict)
    checksums: dict[str, str] = Field(default_factory=dict)
    """By table; the same for the same scale, seed, day and regions, however the rows were loaded (docs/data.md)."""
    facts: dict[str, float] = Field(default_factory=dict)
    """What came out of the random numbers, such as the share of the most popular product."""


class MachineInfo(_Part):
    """The machine of the generator; its name is not kept."""

    os: str
    python: str
    cpus: int
    cpu_model: str = ""
    memory_bytes: int | None = None


class WorkerInfo(_Part):
    """A process that put load on the target: its place (host and process), the regions of its users, its clock."""

    worker: str
    place: str
    regions: tuple[str, ...]
    users: int
    offset_ns: int
    """How far its clock was ahead of the coordinator's when the run began; true to half of ``rtt_ns``."""
    rtt_ns: int


class GitInfo(_Part):
    """The state of the checkout that the run was started from."""

    commit: str
    dirty: bool


class PlannedPart(_Part):
    """Sessions of one name that one phase is expected to offer in one region."""

    phase: str
    session: str
    region: str
    expected: float


class ObjectiveInfo(_Part):
    """An objective of the scenario; None is all transactions or regions, ``limit`` in the unit that ``metric`` names."""

    text: str
    transaction: str | None
    region: str | None
    metric: str
    limit: float


class Manifest(_Part):
    """Everything that was fixed before the first arrival.

    ``scenario`` is the resolved scenario; its ``phases`` have at least name, start_s, duration_s and measured, and its
    ``t0_s`` is the opening of the sale (None or absent: no sale).  ``distance_ms`` is the emulated distance by region.
    """

    schema_version: int = MANIFEST_VERSION
    run_id: str
    bench_version: str
    created_utc: str
    command: str
    scenario: dict[str, JsonValue]
    seed: int
    regions: tuple[str, ...]
    target: TargetInfo
    distance_ms: dict[str, float] | None = None
    schema_fingerprint: str = ""
    data: DataInfo
    machine: MachineInfo
    versions: dict[str, str] = Field(default_factory=dict)
    git: GitInfo | None = None
    workers: tuple[WorkerInfo, ...] = ()
    """Empty where one process was the whole generator."""
    workload: str
    strategy: str | None = None
    hot_sessions: tuple[str, ...] = ()
    """Sessions that come for what is on sale; the others should not feel them."""
    planned: tuple[PlannedPart, ...] = ()
    """How many sessions each phase was expected to offer (in a closed model: their weights)."""

    @field_validator("command")
    @classmethod
    def _drop_password(cls, command: str) -> str:
        return without_password(command)

    @model_validator(mode="after")
    def _check_phases(self) -> Self:
        _ = self.phases, self.t0_s, self.objectives
        return self

    @property
    def phases(self) -> tuple[Phase, ...]:
        """The phases of the scenario, in order; ValueError when one is malformed."""
        rows = self.scenario.get("phases") or []
        if not isinstance(rows, list):
            raise ValueError("scenario.phases is not a list")
        return tuple(_phase(row) for row in rows)

    @property
    def objectives(self) -> tuple[ObjectiveInfo, ...]:
        """The objectives of the scenario; ValueError when one is malformed."""
        rows = self.scenario.get("objectives") or []
        if not isinstance(rows, list):
            raise ValueError("scenario.objectives is not a list")
        return tuple(ObjectiveInfo.model_validate(row) for row in rows)

    @property
    def t0_s(self) -> float | None:
        """When the sale opens, in seconds since the start of the run; None without a sale."""
        value = self.scenario.get("t0_s")
        if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
            return None if value is None else float(value)
        raise ValueError(f"scenario.t0_s is not a number: {value!r}")

    @property
    def scenario_name(self) -> str:
        """The name of the scenario, for titles."""
        return str(self.scenario.get("name") or self.workload)

    @property
    def is_open(self) -> bool:
        """Whether sessions arrive by a schedule, whatever the server does."""
        return self.scenario.get("model", "open") == "open"

    def is_distant(self, region: str) -> bool:
        """Return whether the users of a region paid an emulated distance."""
        return bool(self.distance_ms and self.distance_ms.get(region, 0.0) > 0)


class _PhaseRow(_Part):
    name: str
    start_s: float
    duration_s: float
    measured: bool


def _phase(row: JsonValue) -> Phase:
    parsed = _PhaseRow.model_validate(row)
    return Phase(parsed.name, parsed.start_s, parsed.duration_s, parsed.measured)
