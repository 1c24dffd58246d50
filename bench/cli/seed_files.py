"""``bench seed --to-files``."""

from pathlib import Path
from time import monotonic

from bench import __version__
from bench.cli import console
from bench.cli.seed_estimate import require_file_disk
from bench.cli.seed_progress import PIPE_EVERY_S
from bench.cli.seeding import SeedRequest
from bench.data.blocks import DataSet
from bench.data.files import FilesOptions, FilesProgress, schemas_for, write_files
from bench.units import format_bytes, format_duration


def to_files(folder: Path, request: SeedRequest, variant: str | None, base_url: str | None) -> None:
    """Write the data as files, or finish what an earlier call began, and say how to load them."""
    schemas = schemas_for(request.spec, variant)
    require_file_disk(folder, schemas[1], request.spec)
    how = request.how
    options = FilesOptions(how.tables, how.processes, base_url, {"loaded_by": f"bench {__version__} seed --to-files"})
    report = write_files(folder, DataSet(request.spec), schemas, options, _Shown().show)
    console.end_status()
    kept = f", {report.kept} of them were there" if report.kept else ""
    console.out(f"{'table':<22} {'rows':>13}")
    for table, rows in report.rows.items():
        console.out(f"{table:<22} {rows:>13,}")
    console.out(f"{'total':<22} {report.total_rows:>13,}")
    console.note(
        f"written   {report.files} files{kept}, {format_bytes(report.bytes)} in {format_duration(report.seconds)}"
    )
    console.note(f"to load   see {folder / 'README.md'}")


class _Shown:
    """The progress of an export: a line that is drawn over on a terminal, one an interval in a pipe."""

    def __init__(self) -> None:
        self._next = monotonic() + PIPE_EVERY_S

    def show(self, progress: FilesProgress) -> None:
        seconds = max(progress.seconds, 0.1)
        rate, speed = progress.rows / seconds, format_bytes(progress.bytes / seconds)
        left = max(0, progress.expected_rows - progress.rows) / max(1.0, rate)
        line = (
            f"writing   {progress.rows:,} of about {progress.expected_rows:,} rows, {rate:,.0f} rows/s, {speed}/s, "
            f"about {format_duration(round(left, 1))} left; {progress.files_done} of {progress.files} files"
        )
        if console.is_terminal():
            console.status(line)
        elif monotonic() >= self._next:
            console.note(line)
            self._next = monotonic() + PIPE_EVERY_S
