"""``bench report``."""

import importlib
from pathlib import Path

import click

from bench.cli import console


def write_reports(run_dir: Path) -> list[Path]:
    """Write every report of a run into its folder and return their paths; matplotlib is imported only here."""
    paths: list[Path] = importlib.import_module("bench.reports.write").write_reports(run_dir)
    return paths


@click.command("report")
@click.argument("run", default="last")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md", "json", "csv"]),
    default="text",
    show_default=True,
    help="What to print on standard output; csv writes the page's tables into RUN/csv and prints their paths.",
)
def command(run: str, out: Path, form: str) -> None:
    """Write the report of RUN again from its store: an id, the start of one, a path, or `last`.

    It works on the store of a run that was killed, too, and says what is missing.
    """
    from bench.cli.summary import render_summary
    from bench.results.files import find_run

    folder = find_run(out, run)
    write = importlib.import_module("bench.reports.write").write_and_summarise
    paths, summary = write(folder, with_tables=form == "csv")
    if form == "text":
        console.out(render_summary(summary, paths))
    elif form == "csv":
        console.plain("".join(f"{path}\n" for path in paths if path.suffix == ".csv"))
    else:
        wanted = next(path for path in paths if path.suffix == f".{form}")
        console.plain(wanted.read_text(encoding="utf-8"))
