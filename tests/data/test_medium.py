"""Scale medium, as a user loads it; and the memory of a process that makes large."""

import os
import subprocess
import sys

import psycopg
import pytest
from tests_support import command

from .test_load import CHECKS

pytestmark = pytest.mark.slow

MOST_MEMORY_KB = 400_000
MAKE_LARGE = """
from datetime import date
from bench.data.blocks import DataSet
from bench.data.spec import SeedSpec
data = DataSet(SeedSpec("large", 1, date(2026, 11, 1), ("us-east", "us-west", "eu-west", "asia-pac")))
blocks = list(data.blocks())
assert data.ledger.sold.sum() > 20_000_000
for block in blocks[:: len(blocks) // 150]:
    data.make(block, "binary")
"""


LAUNCH = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""A small parent: what a process had before it became the command counts as the command's peak."""


def peak_kb(arguments: list[str]) -> int:
    """Run a command to its end and return the peak memory of it or of a process it has waited for, in kB."""
    launched = [sys.executable, "-c", LAUNCH, *arguments]
    peak = int(subprocess.run(launched, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return peak if sys.platform == "linux" else peak // 1024


def test_the_peak_is_not_that_of_this_process():
    held = bytearray(os.urandom(300_000_000))
    assert peak_kb([sys.executable, "-c", ""]) < 100_000 < len(held)


def test_medium_is_loaded_in_little_memory_and_holds_together(fresh_database: str):
    as_of = ("--as-of", "2026-11-01")
    peak = peak_kb([command(), "seed", "--url", fresh_database, "--scale", "medium", "--processes", "2", *as_of])
    assert peak < MOST_MEMORY_KB
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (1_000_000,)
        lines = connection.execute("SELECT count(*) FROM order_items").fetchone()
        assert lines is not None
        assert lines[0] == pytest.approx(2_500_000, rel=0.01)
        for check, (query, _) in CHECKS.items():
            assert connection.execute(query).fetchall() == [], check
    audit = subprocess.run([command(), "audit", "--url", fresh_database], capture_output=True, text=True, check=False)
    assert audit.returncode == 0, audit.stdout + audit.stderr


def test_a_process_that_makes_large_stays_small():
    assert peak_kb([sys.executable, "-c", MAKE_LARGE]) < MOST_MEMORY_KB
