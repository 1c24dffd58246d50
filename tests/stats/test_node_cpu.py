"""How busy nodes were is their own CPU time by their own clock, of the cores that they may use."""

import pytest

from bench.metrics.frame import Counter
from bench.metrics.nodes import NODE, NOW_NS, OF_CORES, PROCESSOR, SYS_CORES, SYS_NS, USER_CORES, USER_NS
from bench.stats.node_cpu import node_cpu


def look(moment: str, node: str, now_s: float, user_s: float, sys_s: float, *, share: float = 0.5, cores: float = 4.0):
    """What a node said at a moment; of ``share`` of its cores it used three quarters for its own."""
    counted = {USER_NS: user_s * 1e9, SYS_NS: sys_s * 1e9}
    stands = {NOW_NS: now_s * 1e9, USER_CORES: 0.75 * share * cores, SYS_CORES: 0.25 * share * cores, OF_CORES: share}
    return [
        Counter(moment, 0.0, "us-east", kind, node, metric, value)
        for kind, values in ((NODE, counted), (PROCESSOR, stands))
        for metric, value in values.items()
    ]


def test_time_is_that_between_the_nodes_own_looks():
    # Read 30 s apart; the node looked at itself at 100 and 120 s and used 50 s of four cores in between.
    first, last = look("warm-up", "a", 100.0, 10.0, 5.0), look("probe", "a", 120.0, 50.0, 15.0)
    [found] = node_cpu([*look("start", "a", 0.0, 0.0, 0.0), *first, *last], "warm-up", "probe")
    assert (found.region, found.node) == ("us-east", "a")
    assert found.busy == pytest.approx(2.5)
    assert found.cores == pytest.approx(4.0)
    assert found.share == pytest.approx(0.625)


def test_the_busiest_is_first_by_the_share_of_its_own_cores():
    small = [*look("start", "small", 0.0, 0.0, 0.0, cores=2.0), *look("probe", "small", 10.0, 18.0, 0.0, cores=2.0)]
    large = [*look("start", "large", 0.0, 0.0, 0.0, cores=16.0), *look("probe", "large", 10.0, 80.0, 0.0, cores=16.0)]
    assert [(node.node, node.share) for node in node_cpu([*large, *small], "start", "probe")] == [
        ("small", pytest.approx(0.9)),
        ("large", pytest.approx(0.5)),
    ]


@pytest.mark.parametrize(
    "last",
    [
        look("probe", "a", 120.0, 1.0, 0.5),  # restarted: its CPU time began again
        look("probe", "a", 100.0, 10.0, 5.0),  # it has not looked again
        look("probe", "a", 120.0, 20.0, 5.0, share=0.0),  # nobody knows how many cores
        look("probe", "a", 120.0, 20.0, 5.0)[:-1],  # an older version, which does not say
        [],
    ],
)
def test_where_it_is_not_known_nothing_is_said(last: list[Counter]):
    assert node_cpu([*look("warm-up", "a", 100.0, 10.0, 5.0), *last], "warm-up", "probe") == ()
