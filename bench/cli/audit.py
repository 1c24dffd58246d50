"""``bench audit``."""

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from bench.cli import console
from bench.cli.options import parse_target, target_options
from bench.errors import ExitCode


@click.command("audit")
@target_options
@click.option("--run", "run_ref", help="Compare with this run's journal, too: an id, a path, or `last`.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs.")
def command(run_ref: str | None, out: Path, **given: Any) -> int:
    """Check the business invariants of a database in one consistent snapshot.

    Without --url it looks at the embedded server's database, as the last run left it.  Exit code 6 when a rule is broken.
    """
    from bench.audit.audit import run_audit
    from bench.cli.auditing import journal_of, require_last_run, snapshot_executor
    from bench.cli.findings import finding_lines
    from bench.cli.opening import opened_database
    from bench.db.catalogue import Catalogue, read_package

    options = parse_target(given["url"], given["gateways"], given["variant"], given["port"], given["target"])
    with opened_database(options) as (connection, dialect), closing(connection):
        folders = [read_package(package, "sql") for package in ("bench.db", "bench.audit")]
        journal, window = journal_of(out, run_ref) if run_ref else (None, None)
        if window:
            require_last_run(connection, dialect, window, is_embedded=not (options.url or options.gateways))
        with snapshot_executor(connection, Catalogue.load(folders, dialect)) as execute:
            findings = run_audit(execute, journal, window)
    for line in finding_lines(findings):
        console.out(line)
    return ExitCode.OK if all(finding.passed for finding in findings) else ExitCode.DATA_WRONG
