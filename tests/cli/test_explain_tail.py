"""``bench explain-tail`` on runs of known content."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from bench.cli.explain_tail import tail_lines
from bench.results.read import Run
from bench.results.summarise import summarise_run
from tests.results.synthetic import write_empty, write_run

Bench = Callable[..., "subprocess.CompletedProcess[str]"]


def test_it_names_the_largest_part_and_lists_the_slowest(bench: Bench, tmp_path: Path) -> None:
    write_run(tmp_path / "r")
    done = bench("explain-tail", str(tmp_path / "r"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("p99 is ")
    assert "the five slowest of each second are kept" in lines[1]
    assert "contended for: SKU-1 in " in done.stdout
    assert "aborted attempts: serialization_failure " in done.stdout
    slowest = lines[lines.index("the slowest:") + 1 :]
    assert len(slowest) == 20
    assert slowest[0].strip() == "429 ms at 29.9 s  asia-pac checkout ok SKU-1"
    assert slowest[1].strip() == (
        "late generator 1 ms, wait for a user 38 ms, reserve_stock 149 ms, COMMIT 33.5 ms, back-off 20 ms; "
        "3 attempts (serialization_failure, serialization_failure)"
    )
    shares = [float(line.split("%")[0].split()[-1]) for line in lines if "%" in line and line is not lines[0]]
    assert abs(sum(shares) - 100) < 1


def test_what_is_not_valid_says_so_first(tmp_path: Path) -> None:
    write_run(tmp_path / "r", dropped=3)
    with Run.open(tmp_path / "r") as run:
        assert next(tail_lines(summarise_run(run))).startswith("INVALID: ")


def test_a_run_without_slow_transactions(bench: Bench, tmp_path: Path) -> None:
    write_empty(tmp_path / "r")
    done = bench("explain-tail", str(tmp_path / "r"))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "no slow transaction of a measured phase was recorded"
