"""From a scenario and options to a plan: resolved, checked, printable."""

import importlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.cli.describing import describe
from bench.cli.scenario_files import find_scenario
from bench.data.spec import SeedSpec
from bench.errors import UsageError
from bench.load.user import ShopUser
from bench.scenario.model import Region, Scenario
from bench.scenario.parse import fault_lines
from bench.scenario.pool import Pool, size_pool
from bench.scenario.schedule import Schedule, make_schedule, scaled
from bench.scenario.traces import TOTAL


@dataclass(frozen=True, slots=True)
class Overrides:
    """Options laid over the scenario; None leaves it as it is."""

    regions: tuple[str, ...] | None = None
    scale: str | None = None
    users: int | None = None
    peak_rate: float | None = None
    duration_s: float | None = None
    seed: int | None = None
    isolation: Any = None
    settings: Mapping[str, str] = field(default_factory=dict)
    """Settings of the workload, as text."""
    no_distance: bool = False


@dataclass(frozen=True, slots=True)
class ResolvedPlan:
    """A scenario with its options, its schedule, its user class and the data that it wants."""

    scenario: Scenario
    schedule: Schedule
    pool: Pool
    user_class: type[ShopUser]
    settings: dict[str, Any]
    spec: SeedSpec
    chose_regions: bool
    """Whether the user named the regions; else a target may bring its own."""

    @property
    def opening_s(self) -> float | None:
        """When the sale opens, in seconds since the start; None without a sale."""
        start = 0.0
        for phase in self.scenario.phases:
            if phase.opens_sale:
                return start
            start += phase.duration
        return None

    def resolved(self) -> dict[str, Any]:
        """Return the scenario as plain data with the times of its phases, as the manifest keeps it."""
        data: dict[str, Any] = json.loads(self.scenario.model_dump_json())
        start = 0.0
        for phase in data["phases"]:
            phase["start_s"], phase["duration_s"] = start, phase.pop("duration")
            start += phase["duration_s"]
        data["workload"]["settings"] = self.settings
        data["users"] = dict(self.pool.users)
        data["t0_s"] = self.opening_s
        return data

    def describe(self, url: str | None) -> str:
        """Return the plan as text, for ``--dry-run``."""
        return describe(self, url)


def resolve(reference: str, overrides: Overrides, data_seed: int, as_of: date) -> ResolvedPlan:
    """Return the plan of a scenario file with options laid over it; UsageError for whatever is wrong in it."""
    found, _ = find_scenario(reference)
    scenario = _overlaid(found, overrides)
    user_class = load_user_class(scenario.workload.user)
    _check_sessions(scenario, user_class)
    settings = _settings(scenario, user_class, overrides.settings)
    regions = tuple(region.name for region in scenario.regions)
    spec = SeedSpec(scenario.scale, data_seed, as_of, regions, scenario.zipf)
    schedule, pool = make_schedule(scenario, scenario.seed), size_pool(scenario, user_class.exchanges)
    return ResolvedPlan(scenario, schedule, pool, user_class, settings, spec, overrides.regions is not None)


def _overlaid(scenario: Scenario, overrides: Overrides) -> Scenario:
    changes: dict[str, Any] = {
        "users": overrides.users,
        "seed": overrides.seed,
        "scale": overrides.scale,
        "isolation": overrides.isolation,
    }
    updates = {key: value for key, value in changes.items() if value is not None}
    if overrides.regions:
        known = {region.name: region for region in scenario.regions}
        updates["regions"] = tuple(known.get(name, Region(name=name)) for name in overrides.regions)
        updates["distance_ms"] = {
            name: scenario.distance_ms[name] for name in overrides.regions if name in scenario.distance_ms
        }
        _check_rates(scenario, overrides.regions)
    if overrides.no_distance:
        updates["distance_ms"] = {}
    if overrides.peak_rate is not None and scenario.model == "closed":
        raise UsageError("--rate does nothing in a closed model", hint="pass --users instead")
    changed = scenario.model_copy(update=updates)
    return scaled(changed, duration_s=overrides.duration_s, peak_rate=overrides.peak_rate)


def _check_rates(scenario: Scenario, regions: tuple[str, ...]) -> None:
    """Refuse regions that a rate by region would leave without any."""
    for phase in scenario.phases:
        tables = [rate for rate in phase.rate.values() if isinstance(rate, dict)]
        if phase.trace and TOTAL not in phase.trace.rates:
            tables.append(dict.fromkeys(phase.trace.rates, (0.0, 0.0)))
        lost = [table for table in tables if not set(table) & set(regions)]
        if lost:
            raise UsageError(
                f"phase '{phase.name}' of '{scenario.name}' gives rates by region, and none for {', '.join(regions)}",
                hint=f"it gives them for {', '.join(lost[0])}",
            )


def load_user_class(reference: str) -> type[ShopUser]:
    """Return the class named ``module:Class``; the current folder counts as on the path, for workloads of one's own."""
    module_name, _, class_name = reference.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        found = getattr(importlib.import_module(module_name), class_name, None)
    except ModuleNotFoundError as error:
        raise UsageError(
            f"no module named '{error.name}' for the workload '{reference}'",
            hint="run bench from the folder that holds it, or put that folder on PYTHONPATH",
        ) from None
    if not (isinstance(found, type) and issubclass(found, ShopUser)):
        raise UsageError(f"'{reference}' is not a class derived from bench.load.user:ShopUser")
    return found


def _check_sessions(scenario: Scenario, user_class: type[ShopUser]) -> None:
    unknown = [name for name in scenario.session_names if name not in user_class.sessions]
    if unknown:
        raise UsageError(
            f"{scenario.workload.user} has no session '{unknown[0]}'",
            hint=f"its sessions are {', '.join(user_class.sessions)}",
        )


def _settings(scenario: Scenario, user_class: type[ShopUser], changes: Mapping[str, str]) -> dict[str, Any]:
    given = {**scenario.workload.settings, **changes}
    if user_class.settings_model is None:
        return given
    try:
        checked = user_class.settings_model.model_validate(given)
    except ValidationError as error:
        raise UsageError(fault_lines("workload.settings", error, user_class.settings_model)) from None
    settings: dict[str, Any] = checked.model_dump(mode="json")
    return settings


def refit(plan: ResolvedPlan, regions: tuple[str, ...], distance_ms: Mapping[str, float]) -> ResolvedPlan:
    """Return the plan for a target's regions, with its arrivals drawn for them, and for the distance emulated there."""
    scenario = _overlaid(plan.scenario, Overrides(regions=regions))
    scenario = scenario.model_copy(update={"distance_ms": dict(distance_ms)})
    schedule, pool = make_schedule(scenario, scenario.seed), size_pool(scenario, plan.user_class.exchanges)
    return replace(plan, scenario=scenario, schedule=schedule, pool=pool)
