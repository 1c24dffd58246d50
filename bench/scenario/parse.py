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
        faults = [_fault(detail) for detail in error.errors()]
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise UsageError("\n  ".join([f"{label} has {count}", *faults])) from None


def _fault(detail: ErrorDetails) -> str:
    path = _path(detail["loc"])
    match detail["type"]:
        case "extra_forbidden":
            return f"{path}: unknown key{_suggestion(detail['loc'])}"
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


def _suggestion(location: tuple[int | str, ...]) -> str:
    names = [part for part in location if isinstance(part, str)]
    model: type[BaseModel] = _MODELS.get(names[0], Scenario) if len(names) > 1 else Scenario
    close = difflib.get_close_matches(names[-1], list(model.model_fields), 1)
    return f" (did you mean '{close[0]}'?)" if close else ""
