"""``bench compare``."""

import json
from pathlib import Path

import click

from bench.cli import console


@click.command("compare")
@click.argument("before")
@click.argument("after")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs.")
@click.option("--allow", "allowed", multiple=True, metavar="FIELD", help="A field that may differ; repeatable.")
@click.option("--all", "everything", is_flag=True, help="Show every row.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="What to print on standard output.",
)
def command(before: str, after: str, out: Path, allowed: tuple[str, ...], everything: bool, form: str) -> None:
    """Show run AFTER beside run BEFORE: what changed, with intervals, and what cannot be told.

    Each is an id, the start of one, a path or `last`; BEFORE may be a file of `bench baseline save`, too. Runs of different
    things are refused, and every field that differs is named.
    """
    from bench.cli.comparing import reports, sample_at, samples_of, sides
    from bench.results.files import find_run

    both = sides(samples_of(out, before), sample_at(find_run(out, after)), allowed)
    comparison, pages = both.compare(), reports("comparison")
    if form == "json":
        document = pages.comparison_document(both.names, both.after.run_id, comparison, both.notes)
        console.plain(json.dumps(document, indent=2, allow_nan=False))
        return
    render = pages.comparison_text if form == "text" else pages.comparison_markdown
    console.plain(render(both.title, comparison, both.notes, everything=everything))
