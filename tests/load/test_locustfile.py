"""Locust's own command plays our users, with its own flags and statistics."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests_support import HANG_S

ROOT = Path(__file__).parents[2]
LOCUST = (sys.executable, "-m", "locust", "-f", str(ROOT / "workloads" / "locustfile.py"), "--headless")


def play(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*LOCUST, *arguments],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )


@pytest.mark.slow
def test_locust_plays_the_shop(bench, fresh_database, tmp_path):
    seeded = bench("seed", "--url", fresh_database, "--scale", "tiny")
    assert seeded.returncode == 0, seeded.stderr
    arguments = ("--users", "8", "--spawn-rate", "8", "--run-time", "8s", "--csv", "out", "--shop-think-time", "0.05")
    done = play(*arguments, "--host", fresh_database, folder=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    with (tmp_path / "out_stats.csv").open() as file:
        rows = {(row["Type"], row["Name"]): row for row in csv.DictReader(file)}
    names = {name for _, name in rows}
    assert {"home", "product_page", "view_cart", "checkout"} <= names
    assert {kind for kind, name in rows if name == "home"} == {"us-east", "us-west", "eu-west", "asia-pac"}
    total = rows["", "Aggregated"]
    assert int(total["Request Count"]) == sum(
        int(row["Request Count"]) for key, row in rows.items() if key[1] != "Aggregated"
    )
    assert float(total["Median Response Time"]) < 1000
    assert int(total["Failure Count"]) == 0


def test_without_a_database_it_says_what_to_pass(tmp_path):
    done = play("--users", "1", "--run-time", "5s", folder=tmp_path)
    assert done.returncode == 2
    assert "pass --host postgresql://" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_database_that_does_not_answer_is_named(tmp_path):
    url = "postgresql://nobody:secret@127.0.0.1:1/none"
    done = play("--users", "1", "--run-time", "5s", "--host", url, folder=tmp_path)
    assert done.returncode == 3
    assert "cannot reach database 'none' on 127.0.0.1:1" in done.stderr
    assert "secret" not in done.stderr + done.stdout
