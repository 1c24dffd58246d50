"""What limited it, and what that means for orders: each verdict rests on its figure, and none is invented."""

import pytest

from bench.stats.knee import Knee
from bench.stats.limits import UNKNOWN, Signs, limits
from bench.stats.node_cpu import NodeCpu
from bench.stats.sizing import size


@pytest.mark.parametrize(
    ("signs", "what", "figure"),
    [
        (Signs(generator=("dispatch lag p99 200 ms",)), "the generator", "200 ms"),
        (Signs(server_cpu=0.93, cores=4), "server CPU", "93 % of 4"),
        (
            Signs(node=NodeCpu("eu-west", "http://n2:8080", 7.2, 8.0)),
            "server CPU",
            "in eu-west, the busiest node, used 90 % of 8",
        ),
        (Signs(server_cpu=0.5, machine_cpu=0.98, cores=2), "the machine's CPU", "98 % of 2"),
        (Signs(waits={"Running": 40, "Lock:transactionid": 60}), "locks", "60 % of 100"),
        (Signs(waits={"Running": 40, "IO:WALSync": 50, "IO:DataFileRead": 10}), "write-ahead log", "50 %"),
        (Signs(waits={"Running": 40, "IO:DataFileRead": 60}), "disk", "DataFileRead"),
        (Signs(wasted_share=0.4), "retries", "40 %"),
    ],
)
def test_a_cause_is_named_with_its_figure(signs: Signs, what: str, figure: str):
    [found] = limits(signs, None)
    assert found.what == what
    assert figure in found.evidence


def test_nothing_that_stands_out_is_not_known():
    calm = Signs(
        server_cpu=0.5,
        node=NodeCpu("eu-west", "http://n2:8080", 4.0, 8.0),
        machine_cpu=0.7,
        full_share=0.1,
        waits={"Running": 90, "Lock:tuple": 10},
        wasted_share=0.01,
    )
    assert limits(calm, None) == (UNKNOWN,)
    assert limits(Signs(waits={"Lock:tuple": 3}), None) == (UNKNOWN,)


def test_a_full_pool_is_the_limit_only_where_the_server_was_as_fast_as_ever():
    held, full = Signs(service_ms=100.0), Signs(full_share=1.0, users=20, service_ms=110.0)
    assert limits(full, held)[0].what == "connections"
    assert limits(Signs(full_share=1.0, users=20, service_ms=300.0), held) == (UNKNOWN,)
    assert limits(full, None) == (UNKNOWN,)


KNEE = Knee(10.0, 11.0, 12.0)


@pytest.mark.parametrize(
    ("orders_per_min", "answer"), [(240.0, "yes"), (300.0, "yes"), (330.0, "cannot tell"), (361.0, "no")]
)
def test_a_rate_is_met_below_the_interval_only(orders_per_min: float, answer: str):
    assert size(orders_per_min, 0.5, KNEE, 0.2).answer == answer


def test_connections_are_littles_law_with_room():
    found = size(240.0, 0.5, KNEE, 0.5)
    assert found.needed_per_s == 8
    assert found.headroom == pytest.approx(0.25)
    assert found.mean_busy == 4
    assert found.connections == 10


def test_an_open_interval_says_no_more_than_it_knows():
    assert size(6000.0, 0.5, Knee(10.0, None, None), None).answer == "cannot tell"
    assert size(1.0, 0.5, Knee(None, None, 12.0), None).answer == "cannot tell"
    assert size(6000.0, 0.5, Knee(None, None, 12.0), None).answer == "no"
