"""A writer killed with SIGKILL at any moment leaves a store that reads, whole frame by whole frame."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.results.read import Run
from bench.results.summarise import summarise_run

WRITER = """
import sys
from pathlib import Path
from bench.results.store import RunWriter
from tests.results.synthetic import Maker, manifest
maker = Maker(rate=20)
frames = [maker.frame(second % 30) for second in range(12)]
with RunWriter(Path(sys.argv[1])) as writer:
    writer.write_manifest(manifest())
    print("ready", flush=True)
    number = 0
    while True:
        frame = frames[number % len(frames)]
        object.__setattr__(frame, "number", number)
        object.__setattr__(frame, "elapsed_s", number + 1.0)
        writer.write_frame(frame)
        print(number, flush=True)
        number += 1
"""


def killed_writer(path, after_s):
    """Kill a writer and return the number of the last frame that it had committed for certain (-1: none)."""
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-c", WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        lines = process.stdout.read().splitlines(keepends=True)
    numbers = [int(line) for line in lines if line.endswith("\n")]
    return numbers[-1] if numbers else -1


@pytest.mark.parametrize("attempt", range(6))
def test_kill_loses_at_most_the_last_frame(tmp_path, attempt):
    path = tmp_path / "r"
    last = killed_writer(path, random.Random(attempt).uniform(0.0, 0.25))
    assert (path / "run.sqlite-wal").exists()
    with Run.open(path) as run:
        frames = [number for (number,) in run.rows("SELECT frame FROM frames ORDER BY 1")]
        assert frames == list(range(len(frames)))
        assert len(frames) >= last + 1  # one more may have been committed and not yet announced
        cells = dict(run.rows("SELECT frame, count(*) FROM transactions GROUP BY 1"))
        generator = [number for (number,) in run.rows("SELECT frame FROM generator ORDER BY 1")]
        assert sorted(cells) == generator == frames
        assert run.status == "killed"
        assert summarise_run(run).status == "killed"


def test_a_killed_run_reads_from_a_copy_too(tmp_path):
    last = killed_writer(tmp_path / "r", 0.1)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("manifest.json", "run.sqlite", "run.sqlite-wal"):
        shutil.copy(tmp_path / "r" / name, copy / name)
    with Run.open(copy) as run:
        assert run.last_s >= last + 1


def test_killed_before_it_began(tmp_path):
    (tmp_path / "run.sqlite").touch()
    with pytest.raises(UsageError, match="killed before it began"):
        Run.open(tmp_path)
