"""What the search takes of a probe's store, finished and still being written: every request once, in its second."""

import numpy as np
import pytest

from bench.metrics.frame import ArrivalCell, Event, Frame, GeneratorCell, TransactionCell
from bench.metrics.histogram import Histogram
from bench.metrics.recorder import DROPPED
from bench.results.probe import generators_faults, read_answers, read_little, read_work, window
from bench.results.read import Run
from bench.results.store import RunWriter
from bench.stats import validity
from bench.stats.probing import Objective
from bench.stats.validity import Evidence, judge
from tests.results.synthetic import manifest

REGIONS = ("us-east", "eu-west")
PHASES = [
    {"name": "warm-up", "start_s": 0, "duration_s": 2, "measured": False},
    {"name": "probe", "start_s": 2, "duration_s": 6, "measured": True},
]
OBJECTIVE = Objective(100.0)


def times(*values_ms: float) -> Histogram:
    return Histogram.of(np.array([round(ms * 1e6) for ms in values_ms], np.int64))


def cells(phase: str, region: str, second: int) -> tuple[TransactionCell, ...]:
    """Each second ten checkouts, one of them slow, one failure, ten looks, five sessions of 1 s."""
    fast = times(*[10.0] * 9, 500.0)
    return (
        TransactionCell(phase, region, "checkout", "ok", "ok", 10, 10, fast, fast),
        TransactionCell(phase, region, "checkout", "query_canceled", "failure", 1, 1, times(20.0), times(20.0)),
        TransactionCell(phase, region, "look", "ok", "ok", 10, 10, times(*[5.0] * 10), times(*[5.0] * 10)),
        TransactionCell(phase, region, "session:shop", "ok", "ok", 5, 5, times(*[1000.0] * 5), times(*[800.0] * 5)),
    )


def frame(second: int, phase: str, *, dropped: int = 0, end: str = "") -> Frame:
    rows = tuple(cell for region in REGIONS for cell in cells(phase, region, second))
    lost = times(*[4000.0] * dropped)
    if dropped:
        rows += (TransactionCell(phase, "eu-west", "session:shop", DROPPED, "failure", dropped, 0, lost, lost),)
    came = 5 if second <= 8 else 0
    due = tuple(
        ArrivalCell(phase, region, "shop", came, came, dropped if region == "eu-west" else 0, times(1.0), times(0.1))
        for region in REGIONS
    )
    users = GeneratorCell(0.3, 1.0, 0.5, 20, 10, 0)
    events = (Event(float(second), end, "stopped"),) if end else ()
    return Frame(second, float(second), 1e9 + second, transactions=rows, arrivals=due, generator=users, events=events)


def written(path, seconds: int, *, status: str | None = "complete", dropped: int = 0):
    writer = RunWriter(path)
    made = manifest(run_id=path.name, regions=REGIONS, scenario={"name": "shop", "phases": PHASES}, planned=())
    writer.write_manifest(made)
    for second in range(1, seconds + 1):
        last = second == seconds
        end = "interrupted" if last and status == "interrupted" else ""
        writer.write_frame(
            frame(second, "warm-up" if second <= 2 else "probe", dropped=dropped if last else 0, end=end)
        )
    if status:
        writer.finish(status, "", judge(Evidence()))
    writer.close()
    return Run.open(path)


def test_a_whole_probe_counts_its_drain_in_its_last_second(tmp_path):
    with written(tmp_path / "whole", 9) as run:
        part = window(run)
        counts = read_answers(run, part, OBJECTIVE).counts
        assert part.seconds == 6
        assert counts.requests.tolist() == [42] * 5 + [84]
        assert counts.over.tolist() == [4] * 5 + [8]
        assert counts.failed == 14
        assert (counts.offered, counts.answered) == (60, 60)


def test_one_region_and_one_transaction(tmp_path):
    with written(tmp_path / "one", 8) as run:
        found = read_answers(run, window(run), Objective(100.0, transaction="checkout"), "eu-west")
        assert found.counts.requests.tolist() == [11] * 6
        assert found.counts.over.tolist() == [2] * 6
        assert found.p50_ms == pytest.approx(10, rel=0.001)
        assert found.goodput_per_s == 9
        assert found.counts.offered == 30


@pytest.mark.parametrize("status", [None, "interrupted"])
def test_a_probe_that_goes_on_or_was_ended_counts_what_ended_by_then(tmp_path, status):
    with written(tmp_path / "part", 5, status=status) as run:
        part = window(run)
        assert part.seconds == 3
        assert read_answers(run, part, OBJECTIVE).counts.requests.tolist() == [42] * 3


def test_a_probe_in_its_warm_up_says_nothing(tmp_path):
    with written(tmp_path / "warm", 1, status=None) as run:
        assert window(run).seconds == 0
        assert read_answers(run, window(run), OBJECTIVE).counts.seconds == 0


def test_a_dropped_session_is_a_request_over_the_limit(tmp_path):
    with written(tmp_path / "dropped", 8, dropped=3) as run:
        counts = read_answers(run, window(run), OBJECTIVE).counts
        assert counts.dropped == 3
        assert counts.requests.tolist() == [42] * 5 + [45]
        assert counts.over.tolist() == [4] * 5 + [7]


def test_what_kept_users_at_work_and_littles_law(tmp_path):
    with written(tmp_path / "work", 9) as run:
        work, row = read_work(run, window(run)), read_little(run)
        assert work.users == 20
        assert work.full_share == 0
        assert work.service_ms == pytest.approx(800)
        # Ten sessions of a second end in each of nine; ten users are busy from the first second on.
        assert row.by_times == pytest.approx(10)
        assert row.by_counts == pytest.approx(9.5 * 10 / 10, rel=0.01)


LATE = "arrivals were handed out late: dispatch lag p99 20 ms (limit 10 ms)"


@pytest.mark.parametrize(
    ("limit_ms", "reasons", "kept"),
    [
        # Looks take 5 ms: too slow by far more than the 0.1 ms that arrivals were late.
        (3.0, (LATE,), ()),
        # What just misses the limit may have missed it for the lateness.
        (4.95, (LATE,), (LATE,)),
        # Without a core every answer waits, and by how much is not known.
        (3.0, (LATE, "the generator waited for a core"), (LATE, "the generator waited for a core")),
        (3.0, ("10 % of arrivals were dropped (10 of 100; limit 0.5 %)",), ()),
        (3.0, (), ()),
    ],
)
def test_what_of_the_generator_may_have_decided_a_probe(tmp_path, limit_ms, reasons, kept):
    objective = Objective(limit_ms, percent=50.0, transaction="look")
    with written(tmp_path / "late", 8) as run:
        assert generators_faults(run, window(run), objective, 1, reasons) == kept


def test_drops_are_no_fault_of_the_generator(tmp_path):
    reasons = judge(Evidence(offered=100, started=90, dropped=10)).reasons
    assert len(reasons) == 1
    with written(tmp_path / "dropped", 8) as run:
        assert generators_faults(run, window(run), OBJECTIVE, 1, reasons) == ()


def test_the_reason_of_a_late_arrival_is_known_by_its_beginning():
    evidence = Evidence(dispatch=times(*[20.0] * 100))
    [reason] = judge(evidence).reasons
    assert reason.startswith(validity.LATE)
