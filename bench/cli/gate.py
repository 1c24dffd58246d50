"""``bench gate``."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench.cli import console
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.results.baseline import Sample
    from bench.stats.gate import Fitness


@click.command("gate")
@click.argument("run", default="last")
@click.option("--baseline", required=True, metavar="RUN|FILE", help="A run, or a file of `bench baseline save`.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs.")
@click.option("--allow", "allowed", multiple=True, metavar="FIELD", help="A field that may differ; repeatable.")
@click.option(
    "--tolerance",
    type=click.FloatRange(0),
    default=10.0,
    show_default=True,
    help="A worsening of less than so many per cent never fails.",
)
@click.option(
    "--detect",
    type=click.FloatRange(0, min_open=True),
    default=30.0,
    show_default=True,
    help="To pass, a worsening of so many per cent has to be ruled out.",
)
@click.option("--junit", type=click.Path(path_type=Path), help="Write JUnit XML to this file.")
@click.option(
    "--summary",
    type=click.Path(path_type=Path),
    envvar="GITHUB_STEP_SUMMARY",
    help="Append Markdown to this file (default: $GITHUB_STEP_SUMMARY where it is set).",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What to print on standard output.",
)
def command(  # noqa: PLR0913, PLR0917 - an option each
    run: str,
    baseline: str,
    out: Path,
    allowed: tuple[str, ...],
    tolerance: float,
    detect: float,
    junit: Path | None,
    summary: Path | None,
    form: str,
) -> int:
    """Say whether RUN is worse than a baseline: PASS, FAIL or INCONCLUSIVE, and what the gate could have seen.

    The scenario's objectives count too. A run that is INVALID or left wrong data never passes. Exit codes: 0 PASS, 1 FAIL,
    7 INCONCLUSIVE, 4 INVALID, 6 the data is wrong, 2 refused because the runs are not of the same thing.
    """
    from bench.cli.comparing import reports, samples_of, sides
    from bench.results.baseline import require_fit, sample_of
    from bench.results.files import find_run
    from bench.results.read import Run
    from bench.results.summarise import summarise_run
    from bench.stats.gate import Limits, decide

    before = samples_of(out, baseline)
    require_fit(before)
    with Run.open(find_run(out, run)) as opened:
        made = summarise_run(opened)
        after = sample_of(opened, made)
    both = sides(before, after, allowed)
    gate = decide(fitness(after), made.objectives, both.compare(), Limits(tolerance / 100, detect / 100))
    pages = reports("comparison_gate")
    _write(junit, reports("junit").junit_xml(gate, after.run_id))
    _append(summary, pages.gate_markdown(both.title, gate, both.notes))
    if form == "json":
        console.plain(
            json.dumps(pages.gate_document(after.run_id, both.names, gate, both.notes), indent=2, allow_nan=False)
        )
    else:
        console.plain(pages.gate_text(both.title, gate, both.notes))
    return gate.exit_code


def fitness(sample: "Sample") -> "Fitness":
    """Return whether a run can be judged."""
    from bench.stats.gate import Fitness

    return Fitness(sample.status, sample.validity, sample.reasons, sample.broken, sample.is_audited)


def _write(path: Path | None, text: str) -> None:
    if path is not None:
        from bench.results.store import write_atomically

        write_atomically(path, text)


def _append(path: Path | None, text: str) -> None:
    if path is None:
        return
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"cannot write '{path}'", cause=error.strerror or str(error)) from None
