"""Writing the reports of a run into its folder."""

from pathlib import Path

from bench.results.read import Run
from bench.results.store import refuse_package, write_atomically

from .facts import gather
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
    texts = {
        "report.html": render_html(facts, parts),
        "report.md": render_markdown(facts, parts),
        "summary.json": render_json(facts.manifest, facts.summary, facts.headline),
    }
    for name, text in texts.items():
        write_atomically(run_dir / name, text)
    return [run_dir / name for name in texts]
