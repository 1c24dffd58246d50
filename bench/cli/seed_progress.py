"""The progress of a load: a bar for each table on a terminal, a line every few seconds in a pipe."""

from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

from bench.cli import console
from bench.data.spec import SeedSpec, row_counts
from bench.data.tally import Progress
from bench.units import format_bytes, format_duration

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

PIPE_EVERY_S = 5.0
_RATE_FROM_S = 0.2


class SeedProgress:
    """Shows what the loader reports; its methods may be called by one thread at a time."""

    def __init__(self, spec: SeedSpec, tables: frozenset[str] | None) -> None:
        self._expected = {name: n for name, n in row_counts(spec).items() if tables is None or name in tables}
        self._rows: dict[str, int] = {}
        self._bytes: dict[str, int] = {}
        self._started: dict[str, float] = {}
        self._copy_from: tuple[float, int] | None = None
        self._next_line = monotonic() + PIPE_EVERY_S
        self._bars: Bars | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if console.is_terminal():
            self._bars = console.progress_bars()
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars:
            self._bars.stop()

    def show(self, progress: Progress) -> None:
        """Take note of how far the load is, and show it when it is time to."""
        if progress.phase == "copy":
            self._copied(progress)
        if self._bars:
            self._draw(progress)
        elif monotonic() >= self._next_line:
            console.note(self._copy_line(progress) if progress.phase == "copy" else self._step_line(progress))
            self._next_line = monotonic() + PIPE_EVERY_S

    def _copied(self, progress: Progress) -> None:
        if self._copy_from is None:
            self._copy_from = (progress.seconds, 0)
        self._rows[progress.name] = progress.done
        self._bytes[progress.name] = progress.bytes

    def _copy_line(self, progress: Progress) -> str:
        """All tables together, and the one at hand."""
        rows, size, expected = sum(self._rows.values()), sum(self._bytes.values()), sum(self._expected.values())
        begun = self._copy_from[0] if self._copy_from else 0.0
        seconds = max(progress.seconds - begun, _RATE_FROM_S)
        left = max(0, expected - rows) / max(1.0, rows / seconds)
        return (
            f"seeding   {rows:,} of about {expected:,} rows ({rows / max(1, expected):.0%}), {rows / seconds:,.0f} rows/s, "
            f"{format_bytes(size / seconds)}/s, about {format_duration(round(left, 1))} left; now {progress.name}"
        )

    def _step_line(self, progress: Progress) -> str:
        phase = progress.phase.replace("_", " ")
        return f"seeding   {phase}: {progress.done} of {progress.expected} ({progress.name}), {progress.seconds:.0f} s"

    def _draw(self, progress: Progress) -> None:
        bars = self._bars
        if bars is None:
            return
        if progress.phase not in ("schema", "copy"):
            self._complete(bars)
        name = progress.name if progress.phase == "copy" else progress.phase.replace("_", " ")
        if name not in self._tasks:
            self._tasks[name] = bars.add_task(name, total=progress.expected, detail="")
            self._started[name] = monotonic()
        # What is left is not known exactly: most tables' rows follow from random numbers.
        total = max(progress.expected, progress.done)
        detail = progress.name
        if progress.phase == "copy":
            seconds = max(monotonic() - self._started[name], _RATE_FROM_S)
            rate, speed = progress.done / seconds, format_bytes(progress.bytes / seconds)
            detail = f"{progress.done:,} rows  {rate:,.0f} rows/s  {speed}/s"
        bars.update(self._tasks[name], completed=progress.done, total=total, detail=detail)

    def _complete(self, bars: "Bars") -> None:
        """Fill the bars of the tables: their rows were only expected, and are all there now."""
        for name in self._rows.keys() & self._tasks.keys():
            bars.update(self._tasks[name], total=self._rows[name])
