"""Writing the reports of a run into its folder."""

from pathlib import Path

from bench.results.read import Run
from bench.results.store import refuse_package, write_atomically

from .facts import WRITTEN, gather
from .html import render_html
from .markdown import render_markdown
from .sections import sections
from .summary_json import render_json


def write_reports(run_dir: Path) -> list[Path]:
    """Write report.html, report.md and summary.json next to the store of a run; return their paths.

    Works on runs that were interrupted or killed.  Raises UsageError when the run cannot be read or its folder not written.
    """
    refuse_package(run_dir)
    with Run.open(run_dir) as run:
        facts = gather(run)
    parts = sections(facts)
    texts = (
        render_html(facts, parts),
        render_markdown(facts, parts),
        render_json(facts.manifest, facts.summary, facts.headline),
    )
    paths = [run_dir / name for name in WRITTEN]
    for path, text in zip(paths, texts, strict=True):
        write_atomically(path, text)
    return paths
