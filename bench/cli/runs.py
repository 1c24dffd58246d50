"""``bench runs``."""

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import console
from bench.errors import UsageError
from bench.units import format_bytes, format_ms

if TYPE_CHECKING:
    from bench.results.listing import RunLine

SCHEMA_VERSION = 1
"""Of the list as JSON.

1  first form.
"""
_HEAD = ("run", "when", "scenario", "target", "verdict", "offered/s", "answered/s", "p99", "retries", "audit", "size")
_RIGHT = frozenset({"offered/s", "answered/s", "p99", "retries", "size"})
_NOT_KNOWN = "-"
_LEFT_OUT = ("scenario", "when", "size", "target", "retries", "offered/s", "audit", "answered/s")
"""Columns that a narrow terminal goes without, these first: the id of a run tells its scenario and, in UTC, when it began."""
_PIPE_COLUMNS = 120
_GAP = "  "


@click.command("runs")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs.")
@click.option("--scenario", help="Only runs of the scenario of this name.")
@click.option("--limit", type=click.IntRange(1), help="Only so many, the newest.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What to print on standard output.",
)
def command(out: Path, scenario: str | None, limit: int | None, form: str) -> None:
    """List the runs of a folder, newest first; `-` where a figure is not known. A narrow terminal gets fewer columns.

    Figures are those of a run's summary.json: `bench report RUN` writes it where it is missing. What cannot be read is
    listed with what is wrong with it.
    """
    from bench.results.listing import run_lines

    if not out.is_dir():
        raise UsageError(
            f"there is no folder '{out}'", hint="start a run with: bench run flash-sale, or name its folder with --out"
        )
    runs = list(islice(run_lines(out, scenario), limit))
    if form == "json":
        console.plain(json.dumps({"schema_version": SCHEMA_VERSION, "runs": [asdict(run) for run in runs]}, indent=2))
    elif runs:
        console.plain("\n".join(text_lines(runs, shutil.get_terminal_size((_PIPE_COLUMNS, 0)).columns)))
    else:
        console.note(f"'{out}' holds no run{f' of {scenario}' if scenario else ''}")


def text_lines(runs: Sequence["RunLine"], columns: int) -> Iterator[str]:
    """Yield the list as aligned columns, a line a run below their names, with as many of them as there is room for."""
    whole = [dict(zip(_HEAD, _cells(run), strict=True)) for run in runs if not run.fault]
    widths = {name: max(len(name), *(len(row[name]) for row in whole), 0) for name in _HEAD}
    widths["run"] = max(len("run"), *(len(run.id) for run in runs))
    for name in _LEFT_OUT:
        if sum(widths.values()) + len(_GAP) * (len(widths) - 1) <= columns:
            break
        del widths[name]
    rest = iter(whole)
    yield _aligned({name: name for name in _HEAD}, widths)
    for run in runs:
        if run.fault:
            # It knows its folder, which the id names.
            yield f"{run.id.ljust(widths['run'])}{_GAP}{run.fault.replace(f'{run.path}/', '')}"
        else:
            yield _aligned(next(rest), widths)


def _aligned(row: Mapping[str, str], widths: Mapping[str, int]) -> str:
    cells = (row[name].rjust(width) if name in _RIGHT else row[name].ljust(width) for name, width in widths.items())
    return _GAP.join(cells).rstrip()


def _cells(run: "RunLine") -> tuple[str, ...]:
    return (
        run.id,
        _when(run.created_utc),
        run.scenario or _NOT_KNOWN,
        f"{run.target}/{run.variant}" if run.target else _NOT_KNOWN,
        _verdict(run),
        _rate(run.offered_per_s),
        _rate(run.answered_per_s),
        _p99(run),
        _NOT_KNOWN if run.retries is None else f"{run.retries:,}",
        _audit(run.wrong),
        format_bytes(run.bytes),
    )


def _when(created_utc: str | None) -> str:
    """Return a moment in the zone of this machine."""
    try:
        return f"{datetime.fromisoformat(created_utc or '').astimezone():%Y-%m-%d %H:%M}"
    except (ValueError, OverflowError):
        return _NOT_KNOWN


def _verdict(run: "RunLine") -> str:
    if run.status in (None, "complete"):
        return run.verdict or _NOT_KNOWN
    ending = str(run.status).replace("_", " ")
    return f"{run.verdict} {ending}" if run.verdict else ending


def _rate(value: float | None) -> str:
    return _NOT_KNOWN if value is None else f"{value:,.1f}"


def _p99(run: "RunLine") -> str:
    if run.p99_response_ms is None:
        return _NOT_KNOWN
    return f"{'≥ ' if run.p99_response_at_least else ''}{format_ms(run.p99_response_ms)}"


def _audit(wrong: int | None) -> str:
    if wrong is None:
        return _NOT_KNOWN
    return f"{wrong} wrong" if wrong else "ok"
