"""The table of a bake-off, as text and as Markdown."""

from collections.abc import Iterator, Sequence

from bench.stats.bakeoff import BakeoffRow
from bench.stats.blast import Ratio
from bench.units import format_ms

HEADINGS = (
    "strategy",
    "isolation",
    "units/s",
    "sold",
    "over",
    "under",
    "buyer p50",
    "buyer p99",
    "retries",
    "inversions",
    "regions p",
    "blast p99",
    "verdict",
)
_NUMBERS = slice(2, 12)
_DASH = "–"
LEGEND = (
    "best first: data right, then units sold per second of the sale",
    "over, under: units sold beyond the stock; left over although buyers of the item were refused",
    "buyer: response time of the sessions that came for the sale; retries: per committed checkout",
    "inversions: 0 is a queue, 0.5 a lottery; regions p: how likely regions treated alike differ as much",
    "blast p99: response p99 of everybody else during the sale, as a multiple of before, with a 95 % interval",
)


def table_text(rows: Sequence[BakeoffRow]) -> str:
    """Return the table for a terminal: fixed widths, no boxes."""
    return "\n".join([*text_lines(HEADINGS, [tuple(_cells(row)) for row in rows], _NUMBERS), *LEGEND])


def text_lines(head: Sequence[str], rows: Sequence[Sequence[str]], right: slice) -> list[str]:
    """Return a table as lines of fixed widths; the columns of ``right`` are numbers."""
    lines = [head, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    numbers = range(*right.indices(len(head)))
    text = [
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width) for column, (cell, width) in enumerate(pairs)
        )
        for pairs in (list(zip(line, widths, strict=True)) for line in lines)
    ]
    return [line.rstrip() for line in text]


def table_markdown(question: str, rows: Sequence[BakeoffRow]) -> str:
    """Return the same as Markdown, under the scenario's question."""
    lines = markdown_lines(HEADINGS, [tuple(_cells(row)) for row in rows], _NUMBERS)
    return "\n".join([f"# {question}", "", *lines, "", *(f"- {line}" for line in LEGEND), ""])


def markdown_lines(head: Sequence[str], rows: Sequence[Sequence[str]], right: slice) -> list[str]:
    """Return a table as lines of Markdown; the columns of ``right`` are numbers."""
    numbers = range(*right.indices(len(head)))
    rule = ["--:" if column in numbers else "---" for column in range(len(head))]
    return [f"| {' | '.join(line)} |" for line in (head, rule, *rows)]


def _cells(row: BakeoffRow) -> Iterator[str]:
    yield row.strategy or _DASH
    yield row.isolation or _DASH
    yield _number(row.goodput_per_s, ".1f")
    yield f"{row.sold:,}/{row.offered:,}"
    yield f"{row.oversold:,}"
    yield f"{row.undersold:,}"
    for name in ("p50_ms", "p99_ms"):
        value = getattr(row.buyer, name) if row.buyer else None
        at_least = "≥ " if row.buyer and name in row.buyer.at_least else ""
        yield _DASH if value is None else f"{at_least}{format_ms(value)}"
    yield _number(row.retries_per_commit, ".2f")
    yield _number(row.inversions, ".2f")
    yield _number(row.region_p, ".2g")
    yield _ratio(row.blast_p99)
    yield _verdict(row)


def _number(value: float | None, form: str) -> str:
    return _DASH if value is None else format(value, form)


def _ratio(ratio: Ratio | None) -> str:
    if ratio is None:
        return _DASH
    interval = "" if ratio.low is None or ratio.high is None else f" ({ratio.low:.1f}-{ratio.high:.1f})"
    return f"{ratio.value:.1f}{interval}"


def _verdict(row: BakeoffRow) -> str:
    parts = [row.verdict] if row.status == "complete" else [row.status.upper().replace("_", " ")]
    if not row.is_correct and row.status == "complete":
        parts.append("DATA WRONG")
    return " · ".join(parts)
