"""A server that stands still: response time must say so, by the closed form for such a stall."""

import signal
import time
from pathlib import Path

import pytest

from bench.results.summarise import summarise_run

from .conftest import Start

RATE = 100.0
MEASURED_S = 10.0
STALL_S = 2.0

SCENARIO = f"""
name = "stall"
question = "what does a stall do?"
users = 16
scale = "tiny"
[workload]
user = "bench.workloads.flash_sale:FlashSaleUser"
[[phases]]
name = "warm-up"
duration = "3s"
measured = false
rate = {{ browse = "{RATE:g}/s" }}
[[phases]]
name = "steady"
duration = "{MEASURED_S:g}s"
rate = {{ browse = "{RATE:g}/s" }}
"""


def response_s(percent: float, stall_s: float) -> float:
    """Return a percentile of the response time, in seconds, where service takes no time.

    An arrival x seconds into a stall of d waits d - x, so of all arrivals of T seconds the share that waits longer than y is
    (d - y) / T; solved for y at the share 1 - p.
    """
    return stall_s - (1 - percent / 100) * MEASURED_S


@pytest.mark.slow
def test_response_time_is_that_of_the_closed_form(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "stall.toml"
    path.write_text(SCENARIO)
    play = start(str(path), "--no-distance")
    play.until(6.0)
    play.signal_server(signal.SIGSTOP)
    stopped = time.monotonic()
    try:
        time.sleep(STALL_S)
    finally:
        play.signal_server(signal.SIGCONT)
    stalled = time.monotonic() - stopped
    code, out, err = play.end()
    assert code in (0, 4), err + out
    with play.run() as run:
        summary = summarise_run(run)
    [session] = [group for group in summary.sessions if group.region is None]
    assert session.count == pytest.approx(RATE * MEASURED_S, rel=0.15)
    for percent, found in ((95, session.response.p95_ms), (99, session.response.p99_ms)):
        assert found is not None
        assert found / 1000 == pytest.approx(response_s(percent, stalled), rel=0.10), percent
    # Service time hardly moves: only the few in flight were slow.
    assert session.service.p95_ms is not None
    assert session.service.p95_ms < 300
