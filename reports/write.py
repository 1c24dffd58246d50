"""Writing the reports of a run into its folder."""

from pathlib import Path

from bench.results.read import Run
from bench.results.store import refuse_package, write_atomically
from bench.stats.records import Summary

from .facts import WRITTEN, Facts, gather
from .html import render_page
from .markdown import render_markdown
from .model import Page
from .sections import sections, top
from .summary_json import render_json
from .tables import write_tables
from .tiles import tiles


def write_reports(run_dir: Path) -> list[Path]:
    """Write report.html, report.md and summary.json next to the store of a run; return their paths.

    Works on runs that were interrupted or killed.  Raises UsageError when the run cannot be read or its folder not written.
    """
    return write_and_summarise(run_dir)[0]


def write_and_summarise(run_dir: Path, *, with_tables: bool = False) -> tuple[list[Path], Summary]:
    """Write the same, and the tables as CSV if asked for; return the paths and the summary, which need not be read again."""
    refuse_package(run_dir)
    with Run.open(run_dir) as run:
        facts = gather(run)
    page = page_of(facts)
    texts = (render_page(page), render_markdown(page), render_json(facts.manifest, facts.summary, facts.headline))
    paths = [run_dir / name for name in WRITTEN]
    for path, text in zip(paths, texts, strict=True):
        write_atomically(path, text)
    return [*paths, *(write_tables(page, run_dir) if with_tables else ())], facts.summary


def page_of(facts: Facts) -> Page:
    """Return the page of a run."""
    head, run = facts.headline, facts.manifest
    return Page(
        name=f"{run.scenario_name} ({run.run_id})",
        kicker=f"{run.scenario_name} on {facts.server_name}, {facts.started}",
        level=head.level,
        heading=head.title,
        reasons=head.reasons,
        result=head.result,
        small=f"Times include the emulated distance: {facts.distances}." if facts.distances else "",
        tiles=tiles(facts.summary),
        top=top(facts),
        sections=sections(facts),
        regions=facts.look.regions,
        source=f"Made by bench {run.bench_version} from run.sqlite and manifest.json of run {run.run_id}.",
    )
