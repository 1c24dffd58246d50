"""``bench export``."""

from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import click

from bench.cli import console

if TYPE_CHECKING:
    from bench.results.export import Form

PIPE_EVERY_S = 10.0
_TERMINAL_EVERY_S = 0.2


@click.command("export")
@click.argument("run", default="last")
@click.option(
    "--format",
    "form",
    type=click.Choice(["csv", "parquet", "hdr"]),
    default="csv",
    show_default=True,
    help="`parquet` and `hdr` need the extra of that name.",
)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write the files to.")
@click.option(
    "--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs."
)
@click.option("--yes", is_flag=True, help="Also where the folder is not empty: replace an earlier export in it.")
def command(run: str, form: "Form", out: Path, runs: Path, yes: bool) -> None:
    """Write the raw frames of RUN for other programs: an id, the start of one, a path, or `last`.

    \b
    csv, parquet   a file for each table of the store; histograms as count, sum, min, max, percentiles
    hdr            logs of HdrHistogram, one for each region and transaction, of response and service times

    It works on the store of a run that was interrupted or killed, too.
    """
    from bench.results.export import export_run
    from bench.results.files import find_run
    from bench.results.read import Run
    from bench.units import format_bytes

    with Run.open(find_run(runs, run)) as opened:
        try:
            written = export_run(opened, out, form, replace=yes, show=_Shown().show)
        finally:
            console.end_status()
        if opened.status != "complete":
            ending = "has not ended, or was killed" if opened.status == "killed" else f"ended as {opened.status}"
            console.note(f"the run {ending}: {opened.last_s:,.0f} s of it are there")
        if form == "hdr" and not written:
            console.warning("no transaction was recorded: there are no logs")
    size = sum((out / name).stat().st_size for name in written)
    unit = "intervals" if form == "hdr" else "rows"
    console.plain(f"{out}: {len(written)} files, {sum(written.values()):,} {unit}, {format_bytes(size)}")


class _Shown:
    """The progress of an export: a line that is drawn over on a terminal, one an interval in a pipe."""

    def __init__(self) -> None:
        self._every = _TERMINAL_EVERY_S if console.is_terminal() else PIPE_EVERY_S
        self._next = monotonic() + self._every

    def show(self, text: str) -> None:
        if monotonic() < self._next:
            return
        self._next = monotonic() + self._every
        if console.is_terminal():
            console.status(f"exporting {text}")
        else:
            console.note(f"exporting {text}")
