"""What a cluster is asked at the end of a run and before it: read through the real driver, and what is refused is said.

Refusals are those of the documentation (show-ranges.md, show-cluster-setting.md: the privileges that are needed), replayed
by a test double.
"""

from contextlib import closing
from datetime import date

import pytest

from bench.cli.claiming import claimed
from bench.cli.observing import observation
from bench.cli.preparing import Prepared
from bench.cli.scenario_files import find_scenario
from bench.db.admin import Admin, admin_catalogue
from bench.db.cluster import follow_goal
from bench.db.connection import connect
from bench.db.ddl import load_schema
from bench.db.observe import PLACEMENT, CounterReader
from bench.db.settings import UNREADABLE
from bench.load.beside import CounterWatch, LastLook
from bench.metrics.frame import Counter
from bench.stats.placement import index_places
from bench.target.base import Target
from tests.db.wire_double import Answer, Refusal, Reply, WireDouble

HERE = {"crdb_version": "CockroachDB CCL v26.2.1 (x86_64-pc-linux-gnu, built 2026/05/04 14:31:02, go1.25.5)"}
LEASES = Answer(
    ("region", "name", "ranges", "live_keys", "live_bytes"),
    (("us-east", "orders@orders_pkey", "3", "150", "9000"), ("eu-west", "orders@orders_pkey", "1", "50", "3000")),
)
HOMES = Answer(("region", "name", "rows"), (("us-east", "orders", "100"), ("eu-west", "orders", "100")))
NO_RANGES = Refusal("42501", "only users with the ZONECONFIG privilege or the admin role can use SHOW RANGES on orders")
NOW = Answer(("clock_timestamp",), (("2026-03-01 12:00:00+00",),))
NO_SETTINGS = Refusal("42501", "only users with MODIFYCLUSTERSETTING or VIEWCLUSTERSETTING privileges may do this")


def script(leaseholders: Reply) -> dict[str, list[Reply]]:
    return {
        "SELECT clock_timestamp": [NOW],
        "SELECT split_part(split_part(": [leaseholders],
        "SELECT region::TEXT": [HOMES],
    }


def looked(double: WireDouble) -> CounterReader:
    return CounterReader(double.url(), admin_catalogue("cockroach"), "shopbench/r/", sources=PLACEMENT, timeout_s=60.0)


def test_leaseholders_are_held_against_the_rows_homes() -> None:
    with WireDouble(script(LEASES), HERE) as double:
        reader = looked(double)
        readings = reader.read()
        reader.close()
        # Without the names of indexes, which ask every range once more.
        assert [text for text in double.sent if "SHOW RANGES" in text] == [
            admin_catalogue("cockroach")["leaseholders"].sql
        ]
    (orders,) = index_places(Counter("sale", 9.0, *reading) for reading in readings)
    assert (orders.ranges, orders.keys) == ({"us-east": 3, "eu-west": 1}, {"us-east": 150, "eu-west": 50})
    assert orders.misplaced == pytest.approx(0.25)
    assert reader.notes == []


def test_without_the_privilege_rows_are_counted_and_the_rest_is_said() -> None:
    with WireDouble(script(NO_RANGES), HERE) as double:
        reader = looked(double)
        readings = reader.read()
        reader.close()
    assert {reading.kind for reading in readings} == {"home"}
    assert reader.notes == [f"not allowed to read leaseholders: {NO_RANGES.message}"]


def test_statements_that_begin_alike_are_kept_apart() -> None:
    """The server has replaced the constants, and its fingerprint may look like a number."""
    names = [
        f"{'UPDATE inventory SET quantity_reserved = quantity_reserved - _'[:60]} #{tail}"
        for tail in ("123456", "1e5432")
    ]
    found = Answer(("region", "name", "calls"), tuple(("us-east", name, "7") for name in names))
    with WireDouble({"SELECT clock_timestamp": [NOW], "SELECT split_part(app_name": [found]}, HERE) as double:
        reader = CounterReader(
            double.url(),
            admin_catalogue("cockroach"),
            "shopbench/r/",
            sources=(("statement", "counters_app_statement"),),
        )
        readings = reader.read()
        reader.close()
    assert [(reading.name, reading.value) for reading in readings] == [(name, 7.0) for name in names]


def test_the_look_that_makes_the_nodes_work_comes_after_all_that_counts() -> None:
    scenario, _ = find_scenario("flash-sale")
    target = Target(
        "url",
        "cockroach",
        "v26.2.1",
        "crdb_rbr",
        {"us-east": ("postgresql://h/d",)},
        metrics={"us-east": ("http://h:1",)},
    )
    kinds = [type(each) for each in observation(target, admin_catalogue("cockroach"), scenario, "r").companions]
    assert kinds == [CounterWatch, CounterWatch, LastLook]


@pytest.mark.parametrize(
    ("variant", "goal", "sent"),
    [
        ("crdb_rbr", "region", ['ALTER DATABASE "shop_v" SURVIVE REGION FAILURE']),
        ("crdb_rbr", "zone", ['ALTER DATABASE "shop_v" SURVIVE ZONE FAILURE']),
        ("crdb_rbr", None, []),
        ("crdb_partition_by", "region", []),
    ],
)
def test_a_variants_database_survives_what_the_one_beside_it_does(
    variant: str, goal: str | None, sent: list[str]
) -> None:
    schema = load_schema(variant, ("us-east", "eu-west"), date(2026, 3, 1))
    with WireDouble(
        {"SELECT survival_goal": [Answer(("survival_goal",), ((goal,),))], "ALTER DATABASE": [Answer((), ())]}, HERE
    ) as double:
        with closing(connect(double.url())) as connection:
            follow_goal(Admin.of(connection, "cockroach"), schema, "shop_v")
        assert [text.strip() for text in double.sent if text.startswith("ALTER")] == sent


def variables(**values: str) -> Answer:
    return Answer(("variable", "value"), tuple(values.items()))


def prepared(double: WireDouble) -> Prepared:
    target = Target("url", "cockroach", "v26.2.1", "crdb_rbr", {"us-east": (double.url(),)})
    return Prepared(target, load_schema("crdb_rbr", ("us-east",), date(2026, 3, 1)), {}, {}, "serializable")


@pytest.mark.parametrize("may_see", [True, False])
def test_settings_are_kept_for_comparisons(may_see: bool) -> None:
    session = variables(
        application_name="shopbench/r/us-east",
        kv_transaction_buffered_writes_enabled="on",
        distsql="auto",
        database="shop",
    )
    cluster = Answer(
        ("variable", "value", "setting_type", "description"),
        (("kv.closed_timestamp.target_duration", "00:00:03", "d", "…"), ("cluster.organization", "x", "s", "…")),
    )
    answers: dict[str, list[Reply]] = {
        "SHOW ALL": [session],
        "SHOW CLUSTER SETTINGS": [cluster if may_see else NO_SETTINGS],
        "SHOW transaction_isolation": [Answer(("transaction_isolation",), (("serializable",),))],
    }
    scenario, _ = find_scenario("checkout")
    with WireDouble(answers, HERE) as double:
        found = claimed(prepared(double), scenario, "r")
        written = [text for text in double.sent if text.startswith("INSERT INTO shopbench_meta")]
    seen = {"kv.closed_timestamp.target_duration": "00:00:03"} if may_see else {"cluster_settings": UNREADABLE}
    assert found.settings == {"kv_transaction_buffered_writes_enabled": "on", "distsql": "auto", **seen}
    assert found.isolation == "serializable"
    # Whoever may not see the settings has noted the run all the same.
    assert len(written) == 1
