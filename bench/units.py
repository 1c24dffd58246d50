"""Durations, rates and sizes as users write and read them.  Pure; may import only ``errors``.

>>> parse_duration("1m30s")
90.0
>>> parse_rate("900/min")
15.0
>>> format_ms(1234.5)
'1.23 s'
"""

import re

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|m|h)")
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*(?:/\s*(s|sec|min|m|h))?")
_RATE_UNITS = {"s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_duration(text: str) -> float:
    """Return seconds for ``'90s'``, ``'1m30s'``, ``'250ms'`` or a bare number of seconds; ValueError otherwise."""
    stripped = text.strip()
    if re.fullmatch(r"\d+(?:\.\d+)?", stripped):
        return float(stripped)
    parts = _DURATION_PART.findall(stripped)
    if not parts or "".join(number + unit for number, unit in parts) != stripped.replace(" ", ""):
        raise ValueError(f"'{text}' is not a duration (want e.g. '40s', '1m30s')")
    return sum(float(number) * _DURATION_UNITS[unit] for number, unit in parts)


def parse_rate(text: str) -> float:
    """Return events per second for ``'40/s'``, ``'900/min'`` or a bare number per second; ValueError otherwise."""
    match = _RATE.fullmatch(text.strip())
    if not match:
        raise ValueError(f"'{text}' is not a rate (want e.g. '40/s', '900/min')")
    return float(match[1]) / _RATE_UNITS[match[2] or "s"]


def format_duration(seconds: float) -> str:
    """Return a short text for a span of seconds.

    >>> format_duration(0.25), format_duration(42.0), format_duration(150)
    ('250 ms', '42 s', '2 min 30 s')
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def format_ms(milliseconds: float | None) -> str:
    """Return a latency with three significant digits, or a dash for none.

    >>> format_ms(0.4567), format_ms(45.678), format_ms(None)
    ('0.457 ms', '45.7 ms', '–')
    """
    if milliseconds is None:
        return "–"
    if milliseconds >= 1000:
        return f"{milliseconds / 1000:.2f} s"
    if milliseconds >= 100:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds:.3g} ms"


def format_share(share: float) -> str:
    """Return a share in whole per cent.

    >>> format_share(0.934)
    '93 %'
    """
    return f"{100 * share:.0f} %"


def format_bytes(count: float) -> str:
    """Return a size in powers of 1000.

    >>> format_bytes(999), format_bytes(13_600_000)
    ('999 B', '13.6 MB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            return f"{count:.3g} {unit}"
        count /= 1000
    raise AssertionError("unreachable")
