"""A scenario as TOML text, for a file that can be run again.  Pure."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from bench.scenario.model import Scenario


def to_toml(scenario: Scenario) -> str:
    """Return the file of a scenario: reading it gives the same scenario.  ValueError for a phase with a trace."""
    if any(phase.trace for phase in scenario.phases):
        raise ValueError("a trace is a file of its own")
    data = scenario.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    phases = data.pop("phases")
    lines = [f"{_key(key)} = {_value(value)}" for key, value in data.items()]
    for phase in phases:
        lines += ["", "[[phases]]", *(f"{_key(key)} = {_value(value)}" for key, value in phase.items())]
    return "\n".join(lines) + "\n"


def _key(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_pairs(value))} }}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    # Strings, numbers and booleans are written alike in JSON and TOML, but for DEL.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _pairs(table: Mapping[str, Any]) -> Iterator[str]:
    return (f"{_key(key)} = {_value(value)}" for key, value in table.items() if value is not None)
