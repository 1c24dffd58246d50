"""The slowest hundredth taken apart: one cause at a time, and the largest slice names it."""

import numpy as np
import pytest

from bench.metrics.frame import SlowSample, StatementCell
from bench.metrics.histogram import Histogram
from bench.stats.tail import Slowest, explain, parts

DISTANCE = {"east": 0.0, "far": 160.0}


def sample(response=1000.0, region="east", statements=(("reserve", 5.0), ("COMMIT", 2.0)), **changes):
    fields = {"dispatch_ms": 0.0, "wait_ms": 0.0, "backoff_ms": 0.0, "reasons": (), "key": ""} | changes
    service = response - fields["dispatch_ms"] - fields["wait_ms"]
    return SlowSample(12.0, "steady", region, "checkout", "ok", response, service, 1, tuple(statements), **fields)


def statement(name, *ms):
    return StatementCell(
        "steady", "east", "checkout", name, len(ms), 0, Histogram.of(np.array([round(v * 1e6) for v in ms], np.int64))
    )


USUAL = (statement("reserve", 1, 2, 3), statement("COMMIT", 1, 2, 3))


def explained(*samples, threshold=900.0, at_least=False, count=1000):
    return explain(Slowest(samples, threshold, at_least, count, DISTANCE, USUAL))


@pytest.mark.parametrize(
    ("cause", "kind", "says"),
    [
        (sample(dispatch_ms=900.0), "dispatch", "p99 is 90 % the generator's own lateness"),
        (sample(wait_ms=900.0), "pool", "p99 is 90 % waiting for a free user"),
        (
            sample(statements=(("reserve", 900.0), ("COMMIT", 2.0)), key="SKU-1"),
            "statement",
            "p99 is 90 % waiting for a row in checkout/reserve of SKU-1",
        ),
        (sample(statements=(("reserve", 900.0),)), "statement", "p99 is 90 % waiting in checkout/reserve"),
        (
            sample(region="far", statements=[("reserve", 161.0)] * 6),
            "distance",
            "p99 is 96 % emulated distance",
        ),
        (sample(backoff_ms=900.0), "backoff", "p99 is 90 % back-off between attempts"),
        (sample(), "client", "p99 is 99 % the client's own work between statements"),
    ],
)
def test_the_largest_slice_names_the_cause(cause, kind, says):
    found = explained(cause, sample(response=100.0))
    assert (found.samples, found.slices[0].kind) == (1, kind)
    assert found.sentence.startswith(says)
    assert sum(part.share for part in found.slices) == pytest.approx(1)
    assert sum(part.mean_ms for part in found.slices) == pytest.approx(1000)


def test_a_statement_as_slow_as_ever_does_not_wait():
    slow = sample(response=12.0, statements=(("reserve", 9.0),), key="SKU-1")
    assert explained(slow, threshold=10.0).sentence == "p99 is 75 % the statement checkout/reserve of SKU-1"


def test_a_rollback_between_attempts_is_not_counted_twice():
    one = sample(response=300.0, statements=(("reserve", 100.0), ("ROLLBACK", 60.0)), backoff_ms=90.0)
    found = dict(parts(one, 0.0))
    assert found["backoff", "back-off between attempts"] == 30.0
    assert sum(found.values()) == pytest.approx(300.0)


def test_a_statement_that_travelled_with_another_pays_no_distance():
    one = sample(response=400.0, region="far", statements=(("BEGIN", 170.0), ("reserve", 3.0), ("COMMIT", 165.0)))
    found: dict = {}
    for label, ms in parts(one, 160.0):
        found[label] = found.get(label, 0.0) + ms
    assert found["distance", "emulated distance"] == 320.0
    assert found["statement", "checkout/reserve"] == 3.0


def test_a_marked_statement_pays_no_distance_however_long_it_waits():
    """The row that ``reserve`` waits for is locked for longer than the distance that BEGIN has paid for both."""
    one = sample(
        response=900.0, region="far", statements=(("BEGIN", 165.0), ("reserve", 500.0, True), ("COMMIT", 165.0))
    )
    found: dict = {}
    for label, ms in parts(one, 160.0):
        found[label] = found.get(label, 0.0) + ms
    assert found["distance", "emulated distance"] == 320.0
    assert found["statement", "checkout/reserve"] == 500.0


def test_only_what_is_as_slow_as_p99_is_looked_at():
    samples = [sample(response=1000.0 + n, dispatch_ms=900.0, key="SKU-1") for n in range(8)]
    found = explained(*samples, *[sample(response=100.0)] * 50, count=1000)
    assert (found.samples, found.at_or_above, found.key, found.key_samples) == (8, 10, "SKU-1", 8)
    assert [round(one.response_ms) for one in found.slowest[:2]] == [1007, 1006]
    assert len(found.slowest) == 10


def test_where_the_threshold_is_a_bound_that_no_sample_reached_the_slowest_tenth_is_looked_at():
    found = explained(*[sample(response=100.0 + n) for n in range(40)], threshold=5000.0, at_least=True)
    assert (found.samples, found.threshold_at_least) == (4, True)


def test_nothing_slow_is_nothing_to_explain():
    assert explained() is None
    assert explained(sample(), threshold=None) is None
