"""TOML text → Scenario, with every fault named by its path."""

import difflib
import tomllib
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bench.errors import UsageError
from bench.scenario.model import Phase, Region, Retry, Scenario, Workload

_MODELS: dict[str, type[BaseModel]] = {"phases": Phase, "workload": Workload, "retry": Retry, "regions": Region}


def parse_scenario(text: str, label: str) -> Scenario:
    """Return the scenario of a TOML text; UsageError naming ``label`` and every fault in it."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{label} is not TOML", cause=str(error)) from None
    return build_scenario(data, label)


def build_scenario(data: dict[str, Any], label: str) -> Scenario:
    """Return the scenario of plain data, such as a file with options laid over it; UsageError with every fault."""
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        raise UsageError(fault_lines(label, error, Scenario)) from None


def fault_lines(label: str, error: ValidationError, model: type[BaseModel]) -> str:
    """Return the text of a validation error: what has how many faults, then one line each with its path."""
    # A list whose only entry is faulty is reported as too short as well; that line would say nothing new.
    details = [detail for detail in error.errors() if not (detail["type"] == "too_short" and detail["input"])]
    faults = [_fault(detail, model) for detail in details]
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return "\n  ".join([f"{label} has {count}", *faults])


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
    close = difflib.get_close_matches(names[-1], list(model.model_fields), 1)
    return f" (did you mean '{close[0]}'?)" if close else ""
