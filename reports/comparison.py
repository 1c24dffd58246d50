"""Two runs side by side, as text for a terminal, as Markdown and as plain values for JSON."""

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from bench.stats.comparison import CONFIDENCE, SHIFT, Comparison, Row
from bench.stats.comparison_measures import Key
from bench.stats.gate import percent
from bench.units import format_bytes, format_ms

SCHEMA_VERSION = 1
# 1  first form.

HEAD = ("figure", "before", "after", "change", f"{100 * CONFIDENCE:.0f} % interval", "")
_NUMBERS = range(1, 5)
_QUIET = ("no difference", "can't tell")
_SHOWN = frozenset({"goodput_per_s", "response_p50_ms", "response_p99_ms", "service_p50_ms", "quick_ms", "blocks"})
"""Without ``--all`` a row is shown where it says something, or is one of these of all regions."""
LEGEND = (
    "change: of times against the median statement of the run, whose own change is the first row; of the rest as measured",
    'over all rows, words other than "no difference" and "can\'t tell" come by chance in 2 % of comparisons',
)


def comparison_text(title: str, comparison: Comparison, notes: Sequence[str], *, everything: bool) -> str:
    """Return the comparison for a terminal: aligned columns under the name of each transaction or statement."""
    shown = list(_shown(comparison, everything))
    cells = [HEAD, *(_cells(row) for row in shown)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(HEAD))]
    lines = [title, *(f"note: {note}" for note in notes), "", _line(HEAD, widths)]
    last = ""
    for row in shown:
        heading = _heading(row.key)
        if heading != last:
            lines.append(heading)
        last = heading
        lines.append(_line(_cells(row), widths))
    hidden = len(comparison.rows) + bool(comparison.shift) - len(shown)
    more = [f"{hidden} more rows: --all shows them"] if hidden else []
    return "\n".join([*lines, "", *_left_over(comparison), *more, *LEGEND])


def comparison_markdown(title: str, comparison: Comparison, notes: Sequence[str], *, everything: bool) -> str:
    """Return the same as Markdown."""
    rows = [(_heading(row.key), *_cells(row)) for row in _shown(comparison, everything)]
    lines = [f"# {title}", "", *(f"- {note}" for note in notes), ""]
    lines += markdown_table(("of", *HEAD), rows, range(2, 6))
    lines += ["", *(f"- {line}" for line in (*_left_over(comparison), *LEGEND))]
    return "\n".join(lines) + "\n"


def comparison_document(
    before: Sequence[str], after: str, comparison: Comparison, notes: Sequence[str]
) -> dict[str, Any]:
    """Return the comparison as plain values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "before": list(before),
        "after": after,
        "notes": list(notes),
        "shift": _plain(comparison.shift) if comparison.shift else None,
        "rows": [_plain(row) for row in comparison.rows],
        "gone": [key._asdict() for key in comparison.gone],
        "new": [key._asdict() for key in comparison.new],
    }


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]], numbers: range) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'|'.join('---:' if column in numbers else '---' for column in range(len(head)))}|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def _shown(comparison: Comparison, everything: bool) -> Iterator[Row]:
    if comparison.shift:
        yield comparison.shift
    for row in comparison.rows:
        is_main = row.key.region is None and row.key.metric in _SHOWN
        if everything or row.word not in _QUIET or is_main:
            yield row


def _cells(row: Row) -> tuple[str, ...]:
    name = row.metric.label if row.key != SHIFT else "common shift of times"
    before, after = ("", "") if row.key == SHIFT else (_value(row.key.metric, each) for each in (row.before, row.after))
    return f"  {name}", before, after, percent(row.effect), f"{percent(row.low)} to {percent(row.high)}", row.word


def _value(metric: str, value: float) -> str:
    if metric.endswith("_ms"):
        return format_ms(value)
    if metric == "wal_bytes":
        return format_bytes(value)
    return f"{100 * value:.4g} %" if metric == "answered_share" else f"{value:,.4g}"


def _heading(key: Key) -> str:
    if key == SHIFT:
        return SHIFT.name
    return f"{key.group} {key.name}{f', {key.region}' if key.region else ''}"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    pairs = enumerate(zip(cells, widths, strict=True))
    return "  ".join(c.rjust(w) if place in _NUMBERS else c.ljust(w) for place, (c, w) in pairs).rstrip()


def _left_over(comparison: Comparison) -> Iterator[str]:
    for keys, text in ((comparison.gone, "only before"), (comparison.new, "only after")):
        names = sorted({_heading(key) for key in keys})
        if names:
            yield f"{text}: {', '.join(names)}"


def _plain(row: Row) -> dict[str, Any]:
    return {**row.key._asdict(), **{k: v for k, v in dataclasses.asdict(row).items() if k != "key"}}
