"""A recorded rate over time, from a CSV file: ``second,rate``, or ``second`` and a column for each region.

A row's rate holds until the next row's second, so that the sessions expected in a recorded second are those that were
counted in it.  The last row holds as long as the one before it did.
"""

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.scenario.values import Faults

TOTAL = "rate"
"""The column of a trace that gives one rate over all regions."""
_FAULTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Trace:
    """A rate by second: ``rates`` has the column ``rate``, or one for each region."""

    file: str
    seconds: tuple[float, ...]
    rates: Mapping[str, tuple[float, ...]]

    @property
    def length_s(self) -> float:
        """Seconds from the first row to the end of the last."""
        last = self.seconds[-1]
        return last + (last - self.seconds[-2] if len(self.seconds) > 1 else 1.0)

    def scaled(self, stretch: float, factor: float) -> "Trace":
        """Return the trace with its time stretched and its rates multiplied."""
        rates = {name: tuple(rate * factor for rate in column) for name, column in self.rates.items()}
        return Trace(self.file, tuple(second * stretch for second in self.seconds), rates)


def parse_trace(text: str, file: str) -> Trace:
    """Return the trace of a CSV text; Faults naming the lines that are wrong."""
    rows = [(number, row) for number, row in enumerate(csv.reader(text.splitlines()), 1) if any(row)]
    if not rows:
        raise ValueError(f"'{file}' is empty")
    names = [name.strip() for name in rows[0][1]]
    _check_header(names, file)
    seconds: list[float] = []
    columns: list[tuple[float, ...]] = []
    faults: list[str] = []
    for number, row in rows[1:]:
        try:
            second, *rates = _values(row, len(names))
        except ValueError as error:
            faults.append(f"line {number}: {error}")
            continue
        faults += [f"line {number}: {fault}" for fault in _out_of_order(second, rates, seconds)]
        seconds.append(second)
        columns.append(tuple(rates))
    if len(rows) == 1:
        faults.append("has no rows below its header")
    if len(faults) > _FAULTS_SHOWN:
        faults = [*faults[:_FAULTS_SHOWN], f"and {len(faults) - _FAULTS_SHOWN} more faults"]
    Faults.check(f"'{file}' {fault}" for fault in faults)
    return Trace(file, tuple(seconds), dict(zip(names[1:], zip(*columns))))


def _check_header(names: list[str], file: str) -> None:
    if names[0] != "second" or len(names) < 2:
        raise ValueError(
            f"'{file}' line 1: the header is not 'second,rate', nor 'second' and regions: {','.join(names)}"
        )
    if len(set(names)) < len(names) or "" in names:
        raise ValueError(f"'{file}' line 1: a column has no name, or the name of another: {','.join(names)}")


def _values(row: list[str], width: int) -> list[float]:
    if len(row) != width:
        raise ValueError(f"has {len(row)} values, the header {width}")
    return [_number(cell.strip()) for cell in row]


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"'{text}' is not a number")
    return number


def _out_of_order(second: float, rates: list[float], before: list[float]) -> Iterator[str]:
    if not before and second != 0:
        yield f"the first second is {second:g}, not 0"
    if before and second <= before[-1]:
        yield f"second {second:g} does not come after {before[-1]:g}"
    if any(rate < 0 for rate in rates):
        yield "a rate is below zero"
