"""The only place that prints: results on standard output, everything else on standard error."""

import os
import sys
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

_PIPE_WIDTH = 100


@cache
def _console(stderr: bool) -> "Console":
    # Imported on first use: it would cost `bench --help` a third of its time.
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(
        stderr=stderr, width=width, highlight=False, no_color="NO_COLOR" in os.environ, soft_wrap=not stream.isatty()
    )


def out(renderable: Any = "") -> None:
    """Print a result."""
    _console(False).print(renderable)


def plain(text: str) -> None:
    """Print text as it is, for another program to read."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")


def note(renderable: Any = "") -> None:
    """Print what accompanies a result: plans, progress, warnings."""
    _console(True).print(renderable)


def error_lines(message: str, *, cause: str | None = None, hint: str | None = None) -> None:
    """Print an error in its form: what, why, what to do next."""
    from rich.markup import escape

    console = _console(True)
    console.print(f"[bold red]error:[/] {escape(message)}")
    if cause:
        console.print(f"[dim]cause:[/] {escape(cause)}")
    if hint:
        console.print(f"[cyan]hint:[/] {escape(hint)}")


def warning(message: str, hint: str | None = None) -> None:
    """Print a warning."""
    from rich.markup import escape

    console = _console(True)
    console.print(f"[yellow]warning:[/] {escape(message)}")
    if hint:
        console.print(f"[cyan]hint:[/] {escape(hint)}")


def is_terminal() -> bool:
    """Whether standard error is a terminal, where a line may be drawn over."""
    return sys.stderr.isatty()


def progress_bars() -> "Progress":
    """Return bars on standard error, each with a ``detail`` and the time left; they go away when stopped."""
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<20}"),
        BarColumn(24),
        TaskProgressColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeRemainingColumn(compact=True),
    )
    return Progress(*columns, console=_console(True), transient=True)


def status(text: str) -> None:
    """Draw a line of progress over the last one on a terminal; nothing in a pipe."""
    if is_terminal():
        sys.stderr.write(f"\r\x1b[2K{text}")
        sys.stderr.flush()


def end_status() -> None:
    """Clear the line of progress."""
    status("")
