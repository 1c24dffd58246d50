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

from bench.cli.scenario_files import find_scenario
from bench.data.spec import SeedSpec
from bench.errors import UsageError
from bench.load.user import ShopUser
from bench.scenario.model import Region, Scenario
from bench.scenario.parse import fault_lines
from bench.scenario.schedule import Schedule, make_schedule, scaled
from bench.units import format_duration


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
        data["t0_s"] = self.opening_s
        return data

    def describe(self, url: str | None) -> str:
        """Return the plan as text, for ``--dry-run``."""
        from bench.db.connection import redact

        scenario = self.scenario
        lines = [
            f"scenario  {scenario.name}: {scenario.question}",
            f"workload  {scenario.workload.user}",
            f"settings  {', '.join(f'{key}={value}' for key, value in self.settings.items()) or 'none'}",
            f"target    {redact(url) if url else 'embedded PostgreSQL'}",
            f"data      scale {self.spec.scale}, seed {self.spec.seed}, as of {self.spec.as_of}",
            f"regions   {self._regions()}",
            f"model     {scenario.model}, {scenario.users} users, seed {scenario.seed}, "
            f"isolation {scenario.isolation or 'as the server has it'}",
            f"arrivals  {len(self.schedule):,} in {format_duration(scenario.duration_s)}",
            "phases",
        ]
        return "\n".join([*lines, *self._phases()])

    def _regions(self) -> str:
        distance = self.scenario.distance_ms
        return ", ".join(
            f"{region.name} (emulated distance {distance[region.name]:g} ms)"
            if distance.get(region.name)
            else region.name
            for region in self.scenario.regions
        )

    def _phases(self) -> list[str]:
        lines = []
        for phase in self.scenario.phases:
            rates = ", ".join(
                f"{name} {first:.3g}/s" if first == last else f"{name} {first:.3g}→{last:.3g}/s"
                for name, (first, last) in phase.rate.items()
            )
            marks = ("" if phase.measured else "  not measured") + ("  the sale opens" if phase.opens_sale else "")
            lines.append(f"  {phase.name:<10} {format_duration(phase.duration):>8}  {rates}{marks}")
        return lines


def resolve(reference: str, overrides: Overrides, data_seed: int, as_of: date) -> ResolvedPlan:
    """Return the plan of a scenario file with options laid over it; UsageError for whatever is wrong in it."""
    found, _ = find_scenario(reference)
    scenario = _overlaid(found, overrides)
    user_class = load_user_class(scenario.workload.user)
    _check_sessions(scenario, user_class)
    settings = _settings(scenario, user_class, overrides.settings)
    regions = tuple(region.name for region in scenario.regions)
    spec = SeedSpec(scenario.scale, data_seed, as_of, regions, scenario.zipf)
    schedule = make_schedule(scenario, scenario.seed)
    return ResolvedPlan(scenario, schedule, user_class, settings, spec, overrides.regions is not None)


def _overlaid(scenario: Scenario, overrides: Overrides) -> Scenario:
    changes: dict[str, Any] = {
        "users": overrides.users,
        "seed": overrides.seed,
        "scale": overrides.scale,
        "isolation": overrides.isolation,
    }
    updates = {key: value for key, value in changes.items() if value is not None}
    if overrides.regions:
        shares = {region.name: region.share for region in scenario.regions}
        updates["regions"] = tuple(Region(name=name, share=shares.get(name, 1.0)) for name in overrides.regions)
    if overrides.no_distance:
        updates["distance_ms"] = {}
    if overrides.peak_rate is not None and scenario.model == "closed":
        raise UsageError("--rate does nothing in a closed model", hint="pass --users instead")
    changed = scenario.model_copy(update=updates)
    return scaled(changed, duration_s=overrides.duration_s, peak_rate=overrides.peak_rate)


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


def refit(plan: ResolvedPlan, regions: tuple[str, ...]) -> ResolvedPlan:
    """Return the plan for other regions, with its arrivals drawn anew for them."""
    scenario = _overlaid(plan.scenario, Overrides(regions=regions))
    return replace(plan, scenario=scenario, schedule=make_schedule(scenario, scenario.seed))
