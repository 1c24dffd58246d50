"""TOML text → Scenario, with every fault named by its path."""

import tomllib
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bench.errors import UsageError
from bench.scenario.model import Matrix, Phase, Region, Retry, Scenario, Workload
from bench.scenario.values import Faults, nearest

_MODELS: dict[str, type[BaseModel]] = {
    "phases": Phase,
    "workload": Workload,
    "retry": Retry,
    "regions": Region,
    "matrix": Matrix,
}

Reader = Callable[[str], str]
"""Returns the text of a file that a scenario names; OSError when there is none."""


def parse_scenario(text: str, label: str, read: Reader | None = None) -> Scenario:
    """Return the scenario of a TOML text; UsageError naming ``label`` and every fault in it.

    ``read`` gets the files that the scenario names; without it, naming one is a fault.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{label} is not TOML", cause=str(error)) from None
    return build_scenario(data, label, read)


def build_scenario(data: dict[str, Any], label: str, read: Reader | None = None) -> Scenario:
    """Return the scenario of plain data, such as a file with options laid over it; UsageError with every fault."""
    try:
        return Scenario.model_validate(data, context={"read": read} if read else None)
    except ValidationError as error:
        raise UsageError(fault_lines(label, error, Scenario)) from None


def fault_lines(label: str, error: ValidationError, model: type[BaseModel]) -> str:
    """Return the text of a validation error: what has how many faults, then one line each with its path."""
    # A list whose only entry is faulty is reported as too short as well; that line would say nothing new.
    details = [detail for detail in error.errors() if not (detail["type"] == "too_short" and detail["input"])]
    faults = [fault for detail in details for fault in _faults(detail, model)]
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return "\n  ".join([f"{label} has {count}", *faults])


def _faults(detail: ErrorDetails, model: type[BaseModel]) -> list[str]:
    raised = detail["ctx"]["error"] if detail["type"] == "value_error" else None
    if not isinstance(raised, Faults):
        return [_fault(detail, model)]
    path = _path(detail["loc"])
    return [_below(path, fault) for fault in raised.faults]


def _below(path: str, fault: str) -> str:
    """Return a fault that begins with its own path, or with a quoted file, under the path where it was raised."""
    return f"{path}: {fault}" if fault.startswith("'") else f"{path}.{fault}" if path else fault


def _fault(detail: ErrorDetails, model: type[BaseModel]) -> str:
    path = _path(detail["loc"])
    match detail["type"]:
        case "extra_forbidden":
            return f"{path}: unknown key{_suggestion(detail['loc'], model)}"
        case "missing":
            return f"{path}: is missing"
        case "value_error":
            message = str(detail["ctx"]["error"])
            return f"{path}: {message}" if path else message
    message = detail["msg"][0].lower() + detail["msg"][1:]
    return f"{path}: {message}, not {detail['input']!r}"


def _path(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _suggestion(location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    names = [part for part in location if isinstance(part, str)]
    if len(names) > 1:
        model = _MODELS.get(names[0], model)
    return nearest(names[-1], model.model_fields)
