"""Numbers as the pages write them: what is missing is a dash, never a word of the programming language.

>>> rate(None), rate(3.14159), rate(1234.6), share(0.0123), count(12345)
('–', '3.14', '1,235', '1.23 %', '12,345')
"""

import math

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
    """Return a time given in milliseconds."""
    return format_ms(value)


def seconds(value: float | None) -> str:
    """Return a span given in seconds."""
    return MISSING if value is None else format_duration(value)


def clock(elapsed_s: float) -> str:
    """Return a moment in seconds since the start of the run."""
    return f"{elapsed_s:.1f} s" if elapsed_s % 1 else f"{elapsed_s:.0f} s"


def signed(value: float) -> str:
    """Return a counter's value or difference: whole when it is whole."""
    return f"{value:,.0f}" if value == int(value) else f"{value:,.3f}"
