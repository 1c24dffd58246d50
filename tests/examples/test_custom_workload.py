"""The documented example of a workload of one's own works as its README says."""

import os
import subprocess
from pathlib import Path

import pytest
from tests_support import HANG_S, command

from bench.results.files import find_run
from bench.results.read import Run

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_a_workload_outside_the_package_runs(home: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [command(), "run", "custom_workload/reorder.toml", "--duration", "6s", "--out", str(tmp_path), "--no-distance"],
        cwd=EXAMPLES,
        env={**os.environ, "BENCH_HOME": str(home), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode in (0, 4), done.stderr
    with Run.open(find_run(tmp_path, "last")) as run:
        ok = {cell.name for cell in run.cells if cell.kind == "ok"}
        assert ok == {"session:look", "session:reorder", "last_order", "reorder"}
        statements = {(cell.transaction, cell.statement) for cell in run.statements}
        assert ("reorder", "copy_order_lines") in statements
        assert all(finding.passed for finding in run.findings)


def test_a_wrong_setting_of_it_is_named(home: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [command(), "run", "custom_workload/reorder.toml", "--set", "buyers=0", "--dry-run"],
        cwd=EXAMPLES,
        env={**os.environ, "BENCH_HOME": str(home), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode == 2
    assert "buyers" in done.stderr
