"""Ranges without replicas make a run DEGRADED; leaseholders are held against where rows live."""

import pytest

from bench.metrics.frame import Counter, Frame
from bench.stats.phases import Phase
from bench.stats.placement import index_places
from bench.stats.served import served_rows
from bench.stats.validity import Evidence, judge


def level(metric: str, value: float, moment: str = "sale", region: str = "us-east", node: str = "n1") -> Counter:
    return Counter(moment, 10.0, region, "health", node, metric, value)


def judged(*counters: Counter, phases: tuple[Phase, ...] = ()):
    evidence = Evidence(phases=phases)
    for number, counter in enumerate(counters):
        evidence.add_frame(Frame(number, number + 0.002, float(number), counters=(counter,)))
    return judge(evidence)


def test_a_whole_cluster_is_no_fault() -> None:
    whole = (level("ranges_underreplicated", 0.0), level("ranges_unavailable", 0.0))
    counted = Counter("sale", 10.0, "us-east", "node", "n1", "ranges_unavailable", 5.0)
    assert judged(*whole, counted).verdict == "VALID"


@pytest.mark.parametrize(
    ("metric", "says"),
    [("ranges_underreplicated", "under-replicated"), ("ranges_unavailable", "unavailable (no quorum)")],
)
def test_ranges_without_replicas_degrade_the_run(metric: str, says: str) -> None:
    result = judged(
        level(metric, 2.0, "start"),
        level(metric, 3.0, "sale", "us-east", "n1"),
        level(metric, 4.0, "sale", "us-east", "n2"),
        level(metric, 1.0, "sale", "eu-west", "n3"),
    )
    assert result.verdict == "DEGRADED"
    assert result.reasons == (
        f"the cluster was not whole: 8 ranges were {says} at the end of 'sale' (us-east 7, eu-west 1)",
    )


def test_a_single_range_at_the_start() -> None:
    (reason,) = judged(level("ranges_unavailable", 1.0, "start")).reasons
    assert reason == "the cluster was not whole: 1 range was unavailable (no quorum) at the start (us-east 1)"


MEASURED = {"warm-up": False, "sale": True, "rest": False, "steady": True, "cool-down": False}
PHASES = tuple(Phase(name, 10.0 * place, 10.0, measured) for place, (name, measured) in enumerate(MEASURED.items()))


@pytest.mark.parametrize(
    ("moment", "verdict"),
    [
        # Before the warm-up, when a new database may still be making its replicas, and after the last figure.
        ("start", "VALID"),
        ("cool-down", "VALID"),
        # Before and after "sale", before and after "steady".
        ("warm-up", "DEGRADED"),
        ("sale", "DEGRADED"),
        ("rest", "DEGRADED"),
        ("steady", "DEGRADED"),
    ],
)
def test_only_moments_around_what_is_measured_count(moment: str, verdict: str) -> None:
    assert judged(level("ranges_underreplicated", 2.0, moment), phases=PHASES).verdict == verdict


def test_the_worst_moment_told_of_is_one_that_counts() -> None:
    levels = (level("ranges_underreplicated", 90.0, "start"), level("ranges_underreplicated", 2.0, "sale"))
    (reason,) = judged(*levels, phases=PHASES).reasons
    assert reason.endswith("2 ranges were under-replicated at the end of 'sale' (us-east 2)")


def test_the_start_counts_where_the_first_phase_is_measured() -> None:
    assert judged(level("ranges_unavailable", 1.0, "start"), phases=PHASES[1:]).verdict == "DEGRADED"


def test_levels_are_not_differenced() -> None:
    counters = [level("ranges_underreplicated", 5.0, "start"), level("ranges_underreplicated", 9.0, "sale")]
    counters.append(Counter("sale", 10.0, "us-east", "lease", "orders@orders_pkey", "ranges", 4.0))
    assert served_rows(counters) == ()


def lease(name: str, region: str, ranges: int, keys: int) -> list[Counter]:
    metrics = {"ranges": ranges, "live_keys": keys, "live_bytes": 100 * keys}
    return [Counter("sale", 9.0, region, "lease", name, metric, float(value)) for metric, value in metrics.items()]


def home(table: str, region: str, rows: int) -> Counter:
    return Counter("sale", 9.0, region, "home", table, "rows", float(rows))


def test_rows_led_from_elsewhere_are_a_share_of_the_primary_key() -> None:
    counters = [
        *lease("orders@orders_pkey", "us-east", 3, 150),
        *lease("orders@orders_pkey", "eu-west", 1, 50),
        *lease("orders@idx_orders_user", "us-east", 1, 200),
        *lease("users@users_pkey", "us-east", 1, 10),
        *lease("users@users_pkey", "eu-west", 1, 30),
        *lease("products@products_pkey", "us-east", 1, 70),
        *(home("orders", "us-east", 100), home("orders", "eu-west", 100)),
        *(home("users", "us-east", 10), home("users", "eu-west", 30)),
    ]
    found = {place.name: place for place in index_places(counters)}
    assert list(found) == ["orders@idx_orders_user", "orders@orders_pkey", "products@products_pkey", "users@users_pkey"]
    orders = found["orders@orders_pkey"]
    assert (orders.ranges, orders.keys) == ({"us-east": 3, "eu-west": 1}, {"us-east": 150, "eu-west": 50})
    assert orders.misplaced == pytest.approx(0.25)
    assert found["users@users_pkey"].misplaced == 0.0
    assert found["orders@idx_orders_user"].misplaced is None
    assert found["products@products_pkey"].misplaced is None
