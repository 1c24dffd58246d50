"""The values of a scenario file: what a duration, a rate or a name may look like, and what is said of one that may not."""

import difflib
import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BeforeValidator

from bench.units import parse_duration, parse_rate

_IDENTIFIER = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_HOUR = re.compile(r"(\d{1,2}):([0-5]\d)")

Ends = tuple[float, float]
"""The rates that a phase runs between, in sessions per second; equal for a constant one."""


class Faults(ValueError):
    """Several faults at once, each a text that begins with its path from where it is raised."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))

    @classmethod
    def check(cls, faults: Iterable[str]) -> None:
        """Raise the faults, if there are any."""
        found = tuple(faults)
        if found:
            raise cls(found)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a suggestion in brackets, or nothing where no known name is near."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f" (did you mean '{close[0]}'?)" if close else ""


def _duration(value: Any) -> float:
    seconds = parse_duration(value) if isinstance(value, str) else float(value)
    if seconds <= 0:
        raise ValueError(f"'{value}' is not longer than zero")
    return seconds


def _pause(value: Any) -> float:
    seconds = parse_duration(value) if isinstance(value, str) else float(value)
    if seconds < 0:
        raise ValueError(f"'{value}' is below zero")
    return seconds


def _one_rate(value: Any) -> float:
    try:
        return parse_rate(value) if isinstance(value, str) else float(value)
    except TypeError:
        raise ValueError(f"{value!r} is not a rate (want e.g. '40/s', '900/min')") from None


def _ends(value: Any) -> Ends:
    ends = value if isinstance(value, (list, tuple)) else (value, value)
    if len(ends) != 2:
        raise ValueError(f"{value} is not a rate or a pair [from, to]")
    start, end = (_one_rate(end) for end in ends)
    if start < 0 or end < 0:
        raise ValueError(f"{value} is below zero")
    return start, end


def _rate(value: Any) -> Ends | dict[str, Ends]:
    if not isinstance(value, dict):
        return _ends(value)
    found, faults = {}, []
    for region, ends in value.items():
        try:
            found[region] = _ends(ends)
        except ValueError as error:
            faults.append(f"{region}: {error}")
    Faults.check(faults)
    if not found:
        raise ValueError("names no region")
    return found


def _name(value: str) -> str:
    if not _IDENTIFIER.fullmatch(value):
        raise ValueError(f"'{value}' is not a name (want lower case letters, digits, '-' or '_')")
    return value


def _user_class(value: str) -> str:
    if not re.fullmatch(r"[\w.]+:\w+", value):
        raise ValueError(f"'{value}' is not a user class (want 'module:Class')")
    return value


def _hour(value: Any) -> float:
    match = _HOUR.fullmatch(value.strip()) if isinstance(value, str) else None
    hour = int(match[1]) + int(match[2]) / 60 if match else -1.0 if isinstance(value, str) else float(value)
    if not 0 <= hour <= 24:
        raise ValueError(f"'{value}' is not a time of day (want e.g. '20:00')")
    return hour


def _users(value: Any) -> Any:
    if isinstance(value, str) and value != "auto":
        raise ValueError(f"'{value}' is not a number of users (want e.g. 100, or 'auto')")
    if isinstance(value, int) and value < 1:
        raise ValueError(f"input should be greater than or equal to 1, not {value}")
    return value


def _shape(value: Any) -> Any:
    if value in ("soak", "constant"):
        raise ValueError(f"'{value}' needs no shape: give one rate and a long duration")
    if value not in SHAPES:
        raise ValueError(f"'{value}' is not a shape{nearest(str(value), SHAPES)}; there are {', '.join(SHAPES)}")
    return value


SHAPES = ("ramp", "step", "spike", "diurnal", "trace")

Duration = Annotated[float, BeforeValidator(_duration)]
Pause = Annotated[float, BeforeValidator(_pause)]
"""A duration that may be zero."""
Rate = Annotated[Ends | dict[str, Ends], BeforeValidator(_rate)]
"""One rate over all regions, or one for each region named."""
Name = Annotated[str, BeforeValidator(_name)]
UserClass = Annotated[str, BeforeValidator(_user_class)]
Hour = Annotated[float, BeforeValidator(_hour)]
CheckUsers = BeforeValidator(_users)
CheckShape = BeforeValidator(_shape)
