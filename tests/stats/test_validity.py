"""The verdict on the generator: each limit from both sides, and what does not count."""

import numpy as np
import pytest

from bench.metrics.frame import ArrivalCell, Event, Frame, GeneratorCell
from bench.metrics.histogram import Histogram
from bench.stats.phases import Phase, is_measured, measured_seconds
from bench.stats.validity import Evidence, judge

PHASES = (Phase("warm-up", 0, 5, measured=False), Phase("steady", 5, 20, measured=True))


def arrivals(phase="steady", offered=1000, dropped=0, dispatch_ms=1.0):
    started = offered - dropped
    dispatch = Histogram.of(np.full(started, round(dispatch_ms * 1e6), np.int64))
    return ArrivalCell(phase, "us-east", "buy", offered, started, dropped, dispatch, dispatch)


def frame(second=10, cells=(), events=(), **generator):
    health = {"cpu_share": 0.3, "stall_ms": 5.0, "gc_ms": 1.0, "users": 10, "busy": 5, "queued": 0} | generator
    return Frame(second, second + 0.002, 0.0, arrivals=tuple(cells), events=events, generator=GeneratorCell(**health))


def verdict(*frames, phases=PHASES):
    evidence = Evidence(phases)
    for one in frames:
        evidence.add_frame(one)
    return judge(evidence)


@pytest.mark.parametrize(
    ("bad", "expected", "reason"),
    [
        (frame(cells=[arrivals(dispatch_ms=9.9)]), "VALID", ""),
        (frame(cells=[arrivals(dispatch_ms=10.1)]), "DEGRADED", "dispatch lag p99 10.1 ms (limit 10 ms)"),
        (frame(cells=[arrivals(dispatch_ms=99)]), "DEGRADED", "dispatch lag p99 99 ms"),
        (frame(cells=[arrivals(dispatch_ms=101)]), "INVALID", "dispatch lag p99 101 ms (limit 100 ms)"),
        (frame(stall_ms=250.0), "VALID", ""),
        (frame(stall_ms=251.0), "DEGRADED", "stood still for 251 ms at 10 s (limit 250 ms)"),
        (frame(stall_ms=1001.0), "INVALID", "(limit 1.00 s)"),
        (frame(cpu_share=0.90), "VALID", ""),
        (frame(cpu_share=0.97), "DEGRADED", "generator CPU p95 was 97 % of a core (limit 90 %)"),
        (frame(cells=[arrivals(dropped=5)]), "VALID", ""),
        (frame(cells=[arrivals(dropped=6)]), "INVALID", "0.6 % of arrivals were dropped (6 of 1,000; limit 0.5 %)"),
        (frame(cells=[arrivals(dropped=410)]), "INVALID", "41 % of arrivals were dropped"),
    ],
)
def test_each_limit(bad, expected, reason):
    result = verdict(frame(cells=[arrivals(offered=0)]), bad)
    assert result.verdict == expected
    assert bool(result.reasons) == (expected != "VALID")
    assert reason in "".join(result.reasons)


def test_the_worst_fault_decides_and_comes_first():
    result = verdict(frame(stall_ms=300, cells=[arrivals(dropped=100)]))
    assert result.verdict == "INVALID"
    assert ["dropped" in reason for reason in result.reasons] == [True, False]


def test_cpu_needs_more_than_one_second_in_twenty():
    calm = [frame(second) for second in range(6, 25)]
    assert verdict(*calm, frame(25, cpu_share=1.0)).verdict == "VALID"
    assert verdict(*calm[:10], frame(25, cpu_share=1.0), frame(24, cpu_share=1.0)).verdict == "DEGRADED"


def test_warm_up_and_drain_do_not_count():
    bad = {"stall_ms": 5000.0, "cpu_share": 1.0}
    before = [frame(second, [arrivals("warm-up", dropped=900)], **bad) for second in range(1, 6)]
    after = [frame(second, **bad) for second in range(26, 30)]
    assert verdict(*before, frame(6, [arrivals()]), frame(25), *after).verdict == "VALID"
    assert verdict(*before, phases=()).verdict == "INVALID"
    assert verdict(frame(6, **bad)).verdict == "INVALID"
    assert verdict(frame(25, **bad)).verdict == "INVALID"


@pytest.mark.parametrize("kind", ["interrupted", "target_lost", "crashed"])
def test_after_an_interruption_nothing_counts(kind):
    stopped = frame(12, [arrivals(dropped=900)], events=(Event(11.4, kind, ""),))
    later = frame(14, [arrivals(dropped=900)], stall_ms=5000)
    assert verdict(frame(11, [arrivals()]), stopped, later).verdict == "VALID"
    evidence = Evidence(PHASES)
    for one in (frame(11, [arrivals()]), stopped, later):
        evidence.add_frame(one)
    assert (evidence.offered, evidence.started, evidence.dropped) == (2000, 1100, 0)
    other = frame(12, [arrivals(dropped=900)], events=(Event(11.4, "phase", ""),))
    assert verdict(frame(11, [arrivals()]), other).verdict == "INVALID"


def test_no_evidence_is_no_fault():
    assert verdict().verdict == "VALID"
    evidence = Evidence()
    assert (evidence.dropped_share, evidence.cpu_p95, evidence.stall_at_s) == (None, None, None)


def test_evidence_does_not_grow():
    evidence = Evidence(())
    for second in range(3000):
        evidence.add_frame(frame(second, [arrivals(offered=10)], cpu_share=0.3 + second % 7 / 100))
    assert len(evidence.cpu.indices) == 7
    assert evidence.offered == 30_000


def test_measured_time():
    assert measured_seconds(PHASES, None) == 20
    assert measured_seconds(PHASES, 3.0) == 0
    assert measured_seconds(PHASES, 15.5) == 10.5
    assert [is_measured(PHASES, at) for at in (4.9, 5.0, 24.9, 25.0)] == [False, True, True, False]
