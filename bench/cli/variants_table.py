"""The tables of a comparison of schema variants, as text and as Markdown."""

from collections.abc import Iterator, Sequence

from bench.cli.bakeoff_table import markdown_lines, text_lines
from bench.stats.blast import Ratio
from bench.stats.variants import VariantCell, VariantRun
from bench.units import format_ms

RUN_HEADINGS = ("variant", "commits/s", "attempts/commit", "failed", "verdict", "run")
CELL_HEADINGS = ("transaction", "region", "variant", "n", "p50", "95 %", "p99", "95 %", "p50 ×", "p99 ×")
_RUN_NUMBERS, _CELL_NUMBERS = slice(1, 4), slice(3, 10)
_DASH = "–"
_ALL = "all"
MAIN = "checkout"
"""The transaction that a terminal shows besides all of them together; the files have every one."""


def legend(runs: Sequence[VariantRun]) -> tuple[str, ...]:
    """Return what the columns mean, and of which runs there are no prices; the first is what the others are compared with."""
    first, without = runs[0].variant, [run.variant for run in runs if not run.has_prices]
    return (
        "p50, p99: response time in the measured phases, with its 95 % interval over the seconds of the run",
        f"p50 ×, p99 ×: as a multiple of that on {first}; the interval also covers what two runs of one thing differ by",
        "without an interval a run was too short for one, and the figure alone says little",
        "each variant ran once, one after another: what else the machine did meanwhile is in the difference",
        *(f"no multiple with {name}: its run is INVALID, not complete, or its data is wrong" for name in without),
    )


def variants_text(runs: Sequence[VariantRun], cells: Sequence[VariantCell]) -> str:
    """Return the tables for a terminal: the runs, then all transactions together and checkout by region."""
    shown = [cell for cell in cells if cell.transaction in (None, MAIN)]
    return "\n".join(
        [
            *text_lines(RUN_HEADINGS, [tuple(_run(run)) for run in runs], _RUN_NUMBERS),
            "",
            *text_lines(CELL_HEADINGS, [tuple(_cell(cell)) for cell in shown], _CELL_NUMBERS),
            *legend(runs),
        ]
    )


def variants_markdown(question: str, runs: Sequence[VariantRun], cells: Sequence[VariantCell]) -> str:
    """Return the tables with every transaction, under the scenario's question."""
    return "\n".join(
        [
            f"# {question}",
            "",
            *markdown_lines(RUN_HEADINGS, [tuple(_run(run)) for run in runs], _RUN_NUMBERS),
            "",
            *markdown_lines(CELL_HEADINGS, [tuple(_cell(cell)) for cell in cells], _CELL_NUMBERS),
            "",
            *(f"- {line}" for line in legend(runs)),
            "",
        ]
    )


def _run(run: VariantRun) -> Iterator[str]:
    yield run.variant
    yield _DASH if run.committed_per_s is None else f"{run.committed_per_s:.1f}"
    yield _DASH if run.attempts_per_commit is None else f"{run.attempts_per_commit:.3f}"
    yield _DASH if run.failed_share is None else f"{100 * run.failed_share:.2f} %"
    verdict = run.verdict if run.status == "complete" else run.status.upper().replace("_", " ")
    yield f"{verdict} · DATA WRONG" if run.broken_rules else verdict
    yield run.run_id


def _cell(cell: VariantCell) -> Iterator[str]:
    yield cell.transaction or _ALL
    yield cell.region or _ALL
    yield cell.variant
    yield f"{cell.response.count:,}"
    for name in ("p50_ms", "p99_ms"):
        value, interval = getattr(cell.response, name), cell.intervals.get(name)
        at_least = "≥ " if name in cell.response.at_least else ""
        yield _DASH if value is None else f"{at_least}{format_ms(value)}"
        yield _DASH if interval is None else f"{format_ms(interval[0])}-{format_ms(interval[1])}"
    for name in ("p50_ms", "p99_ms"):
        yield _price(cell.prices.get(name))


def _price(price: Ratio | None) -> str:
    if price is None:
        return _DASH
    interval = "" if price.low is None or price.high is None else f" ({price.low:.2f}-{price.high:.2f})"
    return f"{price.value:.2f}{interval}"
