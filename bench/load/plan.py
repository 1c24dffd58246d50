"""What a process is to play, and how it ended."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bench.load.user import ShopUser
from bench.metrics.frame import Event
from bench.scenario.model import Scenario
from bench.scenario.schedule import Schedule
from bench.target.base import Target

Status = Literal["complete", "interrupted", "target_lost", "crashed"]


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
    users: Mapping[str, int]
    """How many users this process starts, by region."""
    players: Mapping[str, Sequence[int]] | None = None
    """Closed model: which of all users of a region they are; None where this is the only process."""
    notes: tuple[str, ...] = ()
    """What is to be kept with the run about how it was planned."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended; ``error`` is what a workload's code raised, where it did."""

    status: Status
    detail: str = ""
    dropped: int = 0
    interrupted_at_s: float | None = None
    error: BaseException | None = None
    faults: tuple[str, ...] = ()
    """Why the figures are not to be trusted, beyond what the frames say: workers that were lost or late."""
    gaps_unix_s: tuple[float, ...] = ()
    """When acknowledged orders may have gone missing from the journal: with a worker that was lost."""


def marks(plan: Plan) -> Iterator[Event]:
    """Yield what is known of the timeline before the run: notes of the plan, and when phases begin."""
    for note in plan.notes:
        yield Event(0.0, "note", note)
    start = 0.0
    for phase in plan.scenario.phases:
        yield Event(start, "sale_opens" if phase.opens_sale else "phase", phase.name)
        start += phase.duration
