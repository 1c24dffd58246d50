"""The verdict on the generator: each limit from both sides, and what does not count."""

from dataclasses import replace

import numpy as np
import pytest

from bench.metrics.frame import ArrivalCell, Event, Frame, GeneratorCell, TransactionCell
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
    return judge(gathered(frames, phases))


def gathered(frames, phases=PHASES):
    evidence = Evidence(phases)
    for number, one in enumerate(frames):
        evidence.add_frame(replace(one, number=number))
    return evidence


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
        (frame(starved_ms=200.0), "VALID", ""),
        (frame(starved_ms=210.0), "DEGRADED", "the generator waited for a core 21 % of the time, p95 (limit 20 %)"),
        (frame(starved_ms=510.0), "INVALID", "waited for a core 51 % of the time, p95 (limit 50 %)"),
        (frame(gc_ms=99.0), "VALID", ""),
        (frame(gc_ms=104.0), "DEGRADED", "52.5 ms a second went into the garbage collector (limit 50 ms)"),
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
    evidence = gathered([frame(11, [arrivals()]), stopped, later])
    assert (evidence.offered, evidence.started, evidence.dropped) == (2000, 1100, 0)
    other = frame(12, [arrivals(dropped=900)], events=(Event(11.4, "phase", ""),))
    assert verdict(frame(11, [arrivals()]), other).verdict == "INVALID"


def test_no_evidence_is_no_fault():
    assert verdict().verdict == "VALID"
    evidence = Evidence()
    assert (evidence.dropped_share, evidence.cpu_p95, evidence.starved_p95, evidence.stall_ms) == (None, None, None, 0)


def test_evidence_does_not_grow():
    evidence = Evidence(())
    for second in range(3000):
        evidence.add_frame(frame(second, [arrivals(offered=10)], cpu_share=0.3 + second % 7 / 100))
    assert len(evidence.processes[""].cpu) == 7
    assert evidence.offered == 30_000


def test_measured_time():
    assert measured_seconds(PHASES, None) == 20
    assert measured_seconds(PHASES, 3.0) == 0
    assert measured_seconds(PHASES, 15.5) == 10.5
    assert [is_measured(PHASES, at) for at in (4.9, 5.0, 24.9, 25.0)] == [False, True, True, False]


def test_the_worst_worker_decides():
    calm, busy = frame(10).generator, replace(frame(10).generator, worker="w2", cpu_share=0.95, stall_ms=300.0)
    evidence = gathered([frame(10)])
    for second in range(6, 20):
        evidence.add_generator(second, replace(calm, worker="w1"))
        evidence.add_generator(second, busy)
    result = judge(evidence)
    assert result.verdict == "DEGRADED"
    assert sorted(reason.split(":")[0] for reason in result.reasons) == ["worker w2", "worker w2"]
    assert (evidence.cpu_p95, evidence.stall_ms) == (0.95, 300.0)


def test_what_the_frames_do_not_show_makes_it_invalid():
    evidence = gathered([frame(10, [arrivals()])])
    assert judge(evidence).verdict == "VALID"
    evidence.faults.append("worker w1 was lost")
    assert judge(evidence) == replace(judge(evidence), verdict="INVALID", reasons=("worker w1 was lost",))


@pytest.mark.parametrize(("lost", "expected"), [((), "VALID"), ((700,), "DEGRADED"), (range(700, 710), "INVALID")])
def test_seconds_that_did_not_reach_the_store(lost, expected):
    evidence = Evidence((Phase("steady", 0, 1000, measured=True),))
    for number in range(1000):
        if number not in lost:
            evidence.add_frame(replace(frame(number), number=number))
    result = judge(evidence)
    assert result.verdict == expected
    assert evidence.frames.missing == len(lost)
    assert bool(result.reasons) == bool(lost)


def test_a_step_of_the_clock_is_named_and_slewing_is_not():
    def seen(*unix):
        return verdict(*(replace(frame(6 + at), elapsed_s=6.0 + at, unix_s=time) for at, time in enumerate(unix)))

    assert seen(1000.0, 1001.0005, 1002.001).verdict == "VALID"
    stepped = seen(1000.0, 1001.0, 5602.0, 5603.0)
    assert stepped.verdict == "DEGRADED"
    assert "clock of this machine was set, or the machine slept: 4600.00 s at 8 s" in stepped.reasons[0]


def waiting(wait_ms, service_ms, second):
    lag = Histogram.of(np.full(40, round(wait_ms * 1e6), np.int64))
    service = Histogram.of(np.full(40, round(service_ms * 1e6), np.int64))
    arrival = ArrivalCell("steady", "us-east", "buy", 40, 40, 0, lag, Histogram.of(np.full(40, 1000, np.int64)))
    session = TransactionCell("steady", "us-east", "session:buy", "ok", "ok", 40, 40, service, service)
    return replace(frame(second, [arrival]), transactions=(session,))


@pytest.mark.parametrize(
    ("service_ms", "expected"),
    [(20.0, "DEGRADED"), (24.0, "DEGRADED"), (30.0, "VALID"), (400.0, "VALID")],
)
def test_a_pool_too_small_is_ours_and_a_slow_server_is_not(service_ms, expected):
    """The same queue of 300 ms: with sessions as fast as without it, and with sessions that take longer."""
    calm = [waiting(0.5, 20.0, second) for second in range(6, 12)]
    queue = [waiting(300.0, service_ms, second) for second in range(12, 20)]
    result = verdict(*calm, *queue)
    assert result.verdict == expected
    if expected == "DEGRADED":
        assert "the pool of users of us-east was too small: arrivals waited 300 ms (median)" in result.reasons[0]
    assert verdict(*queue).verdict == "VALID"
