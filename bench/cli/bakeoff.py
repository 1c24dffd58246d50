"""``bench run`` of a scenario with a matrix: a run for each cell, one after the other, and the table of them."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from bench.cli import console
from bench.cli.bakeoff_table import table_markdown, table_text
from bench.errors import ExitCode, UsageError
from bench.results.read import Run
from bench.results.store import write_atomically
from bench.results.summarise import summarise_run
from bench.scenario.model import Matrix, Scenario
from bench.stats.bakeoff import BakeoffRow, bakeoff_row, ranked

Cell = tuple[str, str]
_STORED = re.compile(r"^(.+)/summary\.json$", re.MULTILINE)
CARRY_ON = frozenset({ExitCode.OK, ExitCode.NOT_VALID, ExitCode.DATA_WRONG, ExitCode.OBJECTIVE_FAILED})
"""A strategy that sells twice is a result of a bake-off, and so is a generator that was too slow for one cell."""


def open_cells(matrix: Matrix, strategy: str | None, isolation: str | None) -> list[Cell]:
    """Return the cells of a matrix that the options leave; none when they fix all: then it is a run like any other.

    UsageError for an option's value that is not in the matrix.
    """
    _require("strategy", strategy, matrix.strategy)
    _require("isolation", isolation, matrix.isolation)
    if not ((matrix.strategy and not strategy) or (matrix.isolation and not isolation)):
        return []
    strategies = (strategy,) if strategy else matrix.strategy or ("",)
    isolations = (isolation,) if isolation else matrix.isolation or ("",)
    return list(product(strategies, isolations))


def _require(name: str, given: str | None, values: Sequence[str]) -> None:
    if given and values and given not in values:
        raise UsageError(f"{name} '{given}' is not in the matrix", hint=f"it has {', '.join(values)}")


def run_bakeoff(scenario: Scenario, wanted: Sequence[Cell], arguments: Sequence[str], out: Path) -> int:
    """Run every cell with the arguments of this command, print the table, and return the exit code."""
    rows: list[BakeoffRow] = []
    code = int(ExitCode.OK)
    for number, (strategy, isolation) in enumerate(wanted, 1):
        console.note(f"\n[{number}/{len(wanted)}] {strategy} {isolation}".rstrip())
        code, folder = run_cell([*arguments, *_options(strategy, isolation)])
        if folder is not None:
            rows.append(_row(strategy, isolation, folder))
        if code not in CARRY_ON:
            break
    if not rows:
        return code
    best_first = ranked(rows)
    console.out(table_text(best_first))
    for path in _store(scenario, best_first, out):
        console.out(str(path))
    return code if code not in CARRY_ON else int(ExitCode.OK)


def _options(strategy: str, isolation: str) -> Iterator[str]:
    if strategy:
        yield from ("--strategy", strategy)
    if isolation:
        yield from ("--isolation", isolation.replace(" ", "-"))


def run_cell(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> tuple[int, Path | None]:
    """Run one cell in a process of its own, and return its exit code and the folder of its run, if there is one.

    Nothing that one cell leaves behind in memory reaches the next.  ``environment`` is laid over this process's.
    """
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", "from bench.cli import main; main()", *arguments],
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    while True:
        # Ctrl-C reaches the child as well, which ends its run in order: wait for it.
        with suppress(KeyboardInterrupt):
            said, _ = process.communicate()
            break
    found = _STORED.search(said)
    return process.returncode, Path(found.group(1)) if found else None


def _row(strategy: str, isolation: str, folder: Path) -> BakeoffRow:
    with Run.open(folder) as run:
        hot = frozenset(run.manifest.hot_sessions)
        return bakeoff_row(strategy, isolation, run.manifest.run_id, summarise_run(run), run.contenders, hot)


def _store(scenario: Scenario, rows: Sequence[BakeoffRow], out: Path) -> Iterator[Path]:
    folder = out / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{scenario.name}-bakeoff"
    folder.mkdir(parents=True)
    markdown, data = folder / "bakeoff.md", folder / "bakeoff.json"
    write_atomically(markdown, table_markdown(scenario.question, rows))
    write_atomically(data, json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    yield from (markdown, data)
