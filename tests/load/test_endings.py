"""Runs that end as they should not: in order whatever happens, with everything that was measured."""

import os
import resource
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests_support import HANG_S, command

from bench.results.files import find_run
from bench.results.read import Run

from .conftest import Start, signal_all, was_started

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
SHORT = ("flash-sale", "--scale", "tiny", "--duration", "6s", "--users", "60")


def test_ctrl_c_drains_writes_and_audits(start: Start) -> None:
    play = start("flash-sale", "--scale", "tiny", "--duration", "30s", "--users", "60")
    play.until(3)
    play.process.send_signal(signal.SIGINT)
    code, out, err = play.end()
    assert code == 130, err
    assert "interrupted" in out.lower()
    with play.run() as run:
        assert run.status == "interrupted"
        assert run.findings
        assert all(finding.passed for finding in run.findings)
        arrivals = list(run.arrivals)
        assert sum(c.started for c in arrivals) == sum(c.count for c in run.cells if was_started(c)) > 0
        assert sum(c.offered for c in arrivals) == sum(c.started + c.dropped for c in arrivals)


@pytest.mark.slow
def test_a_killed_server_ends_the_run_with_what_was_measured(start: Start) -> None:
    play = start("flash-sale", "--scale", "tiny", "--duration", "30s", "--users", "60")
    play.until(3)
    os.kill(play.postmaster(), signal.SIGKILL)
    code, out, err = play.end()
    assert code == 3
    lines = [line for line in err.splitlines() if line.startswith(("error:", "cause:", "hint:"))]
    assert lines[0] == "error: the server was lost during the run"
    assert len(lines) == 3
    with play.run() as run:
        assert run.status == "target_lost"
        assert sum(cell.count for cell in run.cells) > 0
    assert "report.html" in out


@pytest.mark.slow
def test_a_killed_bench_leaves_no_server_and_a_readable_store(start: Start, bench: Bench) -> None:
    play = start("flash-sale", "--scale", "tiny", "--duration", "30s", "--users", "60")
    play.until(3)
    postmaster = play.postmaster()
    play.process.kill()
    play.process.wait()
    _gone(postmaster)
    done = bench("report", "last")
    assert done.returncode == 0, done.stderr
    assert "KILLED" in done.stdout.splitlines()[0]  # beside other work also DEGRADED
    with play.run() as run:
        assert run.last_s >= 3
        assert sum(cell.count for cell in run.cells) > 0


def _gone(pid: int) -> None:
    descriptor = os.pidfd_open(pid) if hasattr(os, "pidfd_open") and os.path.exists(f"/proc/{pid}") else None
    if descriptor is not None:
        import select

        ready, _, _ = select.select([descriptor], [], [], HANG_S)
        os.close(descriptor)
        assert ready, "the server outlived bench"


@pytest.mark.slow
@pytest.mark.flaky(reruns=2)  # times are what it is about
def test_a_stall_shows_in_the_response_time_and_not_in_the_service_time(start: Start, steady: str) -> None:
    """Two seconds without an answer: only the four in flight are served slowly, but all who should have begun waited."""
    play = start(steady, "--no-distance")
    play.until(3)
    began = time.monotonic()
    play.signal_server(signal.SIGSTOP)
    try:
        time.sleep(2)  # the stall itself
    finally:
        play.signal_server(signal.SIGCONT)
    stalled_ms = 1000 * (time.monotonic() - began)
    code, _, err = play.end()
    assert code in (0, 4), err
    with play.run() as run:
        (total,) = run.transactions(by=("phase",)).values()
    service, response = total.service.percentile_ms(99), total.response.percentile_ms(99)
    assert service is not None
    assert response is not None
    assert service < 400, "those who were not in flight were served as usual"
    assert stalled_ms - 800 < response < stalled_ms + 2000, (
        "who had to wait for a user is counted from when he should have begun"
    )


@pytest.mark.slow
def test_two_runs_beside_each_other_do_not_meet(start: Start) -> None:
    one, two = start(*SHORT, "--no-distance"), start(*SHORT, "--no-distance")
    for play in (one, two):
        code, _, err = play.end()
        assert code in (0, 4), err
    stores = [Run.open(path) for path in sorted((one.folder / "runs").iterdir())]
    assert len(stores) == 2
    urls = {run.manifest.target.safe_url for run in stores}
    for run in stores:
        assert all(finding.passed for finding in run.findings)
        run.close()
    assert len(urls) == 2


@pytest.mark.slow
def test_sessions_cut_off_at_the_end_are_counted(start: Start, steady: str) -> None:
    """The server stands still until the drain is over: what was in flight is unfinished, not gone."""
    path = Path(steady)
    path.write_text(path.read_text().replace("users = 4", "users = 4\ndrain = 1"))
    play = start(steady, "--no-distance")
    play.until(2)
    play.signal_server(signal.SIGSTOP)
    try:
        play.until(11)
    finally:
        play.signal_server(signal.SIGCONT)
    play.end()
    with play.run() as run:
        unfinished = [c for c in run.cells if c.outcome == "unfinished" and c.name.startswith("session:")]
        assert sum(c.count for c in unfinished) == 4
        assert all(c.kind == "failure" for c in unfinished)
        assert sum(c.started for c in run.arrivals) == sum(c.count for c in run.cells if was_started(c))
        assert sum(c.dropped for c in run.arrivals) > 20


@pytest.mark.slow
def test_a_full_disk_ends_the_run_and_keeps_what_was_written(
    bench: Bench, fresh_database: str, steady: str, tmp_path: Path
) -> None:
    """A limit on the size of files stands in for a full disk; the server is not ours, so it is not limited."""
    assert bench("seed", "--url", fresh_database, "--scale", "tiny").returncode == 0

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))

    done = subprocess.run(
        [command(), "run", steady, "--url", fresh_database],
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
        preexec_fn=limit,
    )
    lines = done.stderr.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("error:"))
    assert done.returncode == 2
    assert lines[start].startswith(f"error: cannot write to '{tmp_path}/runs/")
    assert len(lines) - start <= 3
    with Run.open(find_run(tmp_path / "runs", "last")) as run:
        assert run.last_s >= 1
        assert sum(cell.count for cell in run.cells) > 0


@pytest.mark.slow
def test_a_server_that_stays_frozen_does_not_hold_the_run(start: Start, steady: str) -> None:
    """It keeps its connections and answers nothing for ever: after the drain no user, counter or audit is waited for."""
    path = Path(steady)
    keys = 'users = 4\ndrain = 1\ngive_up_after = "2s"\naudit_every = "1s"'
    path.write_text(path.read_text().replace("users = 4", keys))
    play = start(steady, "--no-distance")
    play.until(2)
    frozen = play.signal_server(signal.SIGSTOP)
    try:
        code, out, err = play.end()
    finally:
        # The run has killed the first of them, and nobody else would the others, which stand still.
        signal_all(frozen[1:], signal.SIGKILL)
    assert code == 3, err + out
    with play.run() as run:
        # Not for ever: what is waited for after the drain has limits of some seconds each.
        assert run.last_s < 10 + 1 + 30
        assert sum(c.count for c in run.cells if c.outcome == "unfinished" and c.name.startswith("session:")) == 4


def test_an_interrupt_is_told_once():
    """The hub of gevent prints what is raised in it, before it reaches whoever has a sentence for it."""
    script = """
        import signal, time, bench.load
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
        try:
            print("waiting", flush=True)
            time.sleep(60)
        except KeyboardInterrupt:
            print("told")
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=HANG_S) == ("told\n", "")
