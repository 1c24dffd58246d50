"""Objectives of a scenario: what must hold for a run to pass, written as a sentence.

checkout response p99 < 300ms
checkout in eu-west service p95 < 120ms
all commits > 150/s
all failed < 0.1 %
checkout retries < 0.05
"""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from bench.scenario.values import nearest
from bench.units import parse_duration, parse_rate

_SENTENCE = re.compile(r"(?P<who>\S+)(?: in (?P<region>\S+))? (?P<figure>[a-z]+(?: \S+)?) (?P<sign>[<>]) (?P<limit>.+)")
_PERCENTILES = ("p50", "p95", "p99", "p99.9", "max", "mean")
_TIMES = {
    f"{time} {figure}": f"{time}_{figure.replace('.', '')}_ms"
    for time in ("response", "service")
    for figure in _PERCENTILES
}
FIGURES = {**_TIMES, "commits": "committed_per_s", "failed": "failed_share", "retries": "retries_per_commit"}
"""The figures as they are written, and the names of their values."""
_EXAMPLE = "want e.g. 'checkout response p99 < 300ms'"


class Objective(BaseModel):
    """One objective; ``transaction`` and ``region`` None are all of them, ``limit`` is in the unit that ``metric`` names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    transaction: str | None
    region: str | None
    metric: str
    limit: float


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = " ".join(value.split())
    match = _SENTENCE.fullmatch(text)
    if not match:
        raise ValueError(f"'{value}' is not an objective ({_EXAMPLE})")
    figure, sign = match["figure"], match["sign"]
    if figure not in FIGURES:
        raise ValueError(
            f"'{figure}' in '{value}' is no figure{nearest(figure, FIGURES)} (known: {', '.join(FIGURES)})"
        )
    wanted = ">" if figure == "commits" else "<"
    if sign != wanted:
        raise ValueError(f"'{value}' wants '{wanted}', not '{sign}'")
    return {
        "text": text,
        "transaction": None if match["who"] == "all" else match["who"],
        "region": match["region"],
        "metric": FIGURES[figure],
        "limit": _limit(figure, match["limit"]),
    }


def _limit(figure: str, text: str) -> float:
    if figure in _TIMES:
        if not re.search(r"[a-z]$", text):
            raise ValueError(f"'{text}' has no unit (want e.g. '300ms', '1.5s')")
        return parse_duration(text) * 1000
    if figure == "commits":
        return parse_rate(text)
    number, is_percent = text.removesuffix("%").strip(), text.endswith("%")
    if figure == "failed" and not is_percent:
        raise ValueError(f"'{text}' is not a share (want e.g. '0.1 %')")
    try:
        return float(number) / (100 if is_percent else 1)
    except ValueError:
        raise ValueError(f"'{text}' is not a number") from None


Sentence = Annotated[Objective, BeforeValidator(_parsed)]
