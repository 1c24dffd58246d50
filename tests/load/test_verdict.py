"""The verdict is about the generator: a burner beside it spoils the measurement, a server as slow as that does not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bench.results.summarise import summarise_run
from bench.stats.records import Summary

from .conftest import Play, Start

SHORT = ("--duration", "10s", "--users", "40", "--no-distance")
BURNERS = 4
STOPPED_S = GOING_S = 0.05
TRIES = 3


@contextmanager
def burners(core: int) -> Iterator[None]:
    """Keep a core busy several times over."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BURNERS)]
    try:
        for process in busy:
            os.sched_setaffinity(process.pid, {core})
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def stutter(play: Play) -> None:
    """Let the server work for a twentieth of a second at a time, and stand still for as long, until the run is over."""
    play.until(1)
    while play.process.poll() is None and play.recorded_s() < 10:
        play.signal_server(signal.SIGSTOP)
        time.sleep(STOPPED_S)
        play.signal_server(signal.SIGCONT)
        time.sleep(GOING_S)


def summary_of(start: Start, scenario: str, meanwhile: Callable[[Play], None] = lambda _: None) -> Summary:
    play = start(scenario, *SHORT)
    meanwhile(play)
    code, _, err = play.end()
    assert code in (0, 4), err
    with play.run() as run:
        return summarise_run(run)


@pytest.mark.slow
def test_a_burner_beside_the_generator_spoils_the_measurement(start: Start, steady: str) -> None:
    """Both are on one core, so that what runs beside this test has the others."""
    core = min(os.sched_getaffinity(0))
    with burners(core):
        found = summary_of(start, steady, lambda play: os.sched_setaffinity(play.process.pid, {core}))
    assert found.validity.verdict in ("DEGRADED", "INVALID")
    reasons = "; ".join(found.validity.reasons)
    assert "waited for a core" in reasons or "handed out late" in reasons


@pytest.mark.slow
def test_a_server_that_stutters_is_a_result(start: Start, steady: str) -> None:
    """Others may use the same machine, so there are three tries; where it is never calm, there is nothing to show."""
    for _ in range(TRIES):
        found = summary_of(start, steady, stutter)
        if found.validity.verdict == "VALID":
            break
    calm = summary_of(start, steady)
    if found.validity.verdict != "VALID" and calm.validity.verdict != "VALID":
        pytest.skip(f"this machine is not calm: {'; '.join(calm.validity.reasons)}")
    assert found.validity.verdict == "VALID", found.validity.reasons
    # It was really slow: half of the time nobody was served.
    assert found.total.service.p99_ms is not None
    assert found.total.service.p99_ms > STOPPED_S * 1000 * 0.8
