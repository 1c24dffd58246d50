"""Numbers as the pages write them: what is missing is a dash, never a word of the programming language.

>>> rate(None), rate(3.14159), rate(1234.6), share(0.0123), count(12345)
('–', '3.14', '1,235', '1.23 %', '12,345')
"""

import math
from collections.abc import Sequence

from bench.stats.records import Latency
from bench.units import format_duration, format_ms

MISSING = "–"


def rate(value: float | None) -> str:
    """Return a rate with three significant digits or more."""
    if value is None or math.isnan(value):
        return MISSING
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def share(value: float | None) -> str:
    """Return a share as a percentage; what is too small to write is still not zero."""
    if value is None:
        return MISSING
    if 0 < value < 0.0001:
        return "< 0.01 %"
    return f"{100 * value:.3g} %" if value >= 0.01 or value == 0 else f"{100 * value:.2f} %"


def ratio(value: float | None) -> str:
    """Return a ratio near one, such as attempts per commit."""
    return MISSING if value is None else f"{value:.3f}"


def count(value: int | float) -> str:
    """Return a whole number with its thousands apart."""
    return f"{value:,.0f}"


def ms(value: float | None) -> str:
    """Return a time given in milliseconds; below half a microsecond it is none."""
    return format_ms(0.0 if value is not None and value < 0.0005 else value)


def latency(times: Latency, name: str) -> str:
    """Return one figure of a distribution, such as ``p99_ms``; a bound from below says so."""
    return f"≥ {ms(getattr(times, name))}" if name in times.at_least else ms(getattr(times, name))


def interval(low_ms: float, high_ms: float) -> str:
    """Return an interval of times, its unit named once where both ends have the same.

    >>> interval(310.2, 351.0), interval(950.0, 1010.0)
    ('[310, 351 ms]', '[950 ms, 1.01 s]')
    """
    low, high = ms(low_ms), ms(high_ms)
    value, unit = low.rsplit(" ", 1)
    return f"[{value if high.endswith(f' {unit}') else low}, {high}]"


LATENCY = ("p50_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms")


def latencies(times: Latency, names: Sequence[str] = LATENCY) -> tuple[str, ...]:
    """Return several figures of a distribution."""
    return tuple(latency(times, name) for name in names)


def chance(p_value: float | None) -> str:
    """Return a p-value; what is too small to tell from zero is not written as zero.

    >>> chance(0.0314), chance(1e-9), chance(None)
    ('0.031', '< 0.001', '–')
    """
    if p_value is None:
        return MISSING
    return "< 0.001" if p_value < 0.001 else f"{p_value:.2g}"


def seconds(value: float | None) -> str:
    """Return a span given in seconds."""
    return MISSING if value is None else format_duration(value)


def clock(elapsed_s: float) -> str:
    """Return a moment in seconds since the start of the run."""
    return f"{elapsed_s:.1f} s" if elapsed_s % 1 else f"{elapsed_s:.0f} s"


def signed(value: float) -> str:
    """Return a counter's value or difference: whole when it is whole."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3f}"
