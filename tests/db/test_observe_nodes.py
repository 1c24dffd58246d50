"""Metrics of nodes are read as they are exported, summed once, and a node that does not answer costs its own alone."""

import socket
from collections.abc import Callable, Iterator, Sequence
from urllib.parse import quote

import pytest
from tests_support import HANG_S

import bench.db.observe_nodes as observing
from bench.db.observe import Reading
from bench.db.observe_nodes import Exposition, Node, NodeReader, parse
from bench.metrics.frame import Counter
from bench.metrics.nodes import HEALTH, LEVELS, NODE, SYS_CORES
from bench.stats.served import served_rows
from bench.stats.serverside import node_rows, retries_beside

from .node_metrics import CERTIFICATE, DOCUMENTED, EVERY, exporter, exposition


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that stands still for some seconds is no node that does not answer."""
    monkeypatch.setattr(observing, "_SOCKET_TIMEOUT_S", HANG_S)
    monkeypatch.setattr(observing, "NODE_TIMEOUT_S", HANG_S)


def test_the_documented_text_is_read() -> None:
    wanted = ["sys_cgocalls", "sys_cpu_sys_percent", "sql_insert_count", "sys_cgo"]
    assert parse(DOCUMENTED, wanted) == {
        "sys_cgocalls": 13737.0,
        "sys_cpu_sys_percent": 0.0021986027879282717,
        # Of two virtual clusters on one node.
        "sql_insert_count": 27.0,
    }


def test_parts_beside_their_whole_are_not_counted_twice() -> None:
    assert parse(DOCUMENTED, ["changefeed_error_retries", "sysbytes"]) == {
        "changefeed_error_retries": 3.0,
        "sysbytes": 42979.0,
    }


def test_what_is_no_number_and_what_is_dated_later() -> None:
    text = 'a{node_id="1"} NaN\nb{node_id="1"} +Inf\nc{node_id="1"} 7 1700000000000\nd 4\n d 5\n# d 6'
    assert parse(text, ["a", "b", "c", "d"]) == {"c": 7.0, "d": 4.0}


@pytest.mark.parametrize("size", [1, 7, 64, 10**6])
def test_the_text_may_come_in_pieces(size: int) -> None:
    text = exposition(EVERY).rstrip("\n").encode()
    found = Exposition(EVERY)
    for start in range(0, len(text), size):
        found.feed(text[start : start + size])
    # The documented lines have one of them, too.
    assert found.sums() == EVERY | {SYS_CORES: 0.0021986027879282717}


def test_a_certificate_is_verified_by_the_authority_that_the_address_names() -> None:
    with exporter(secure=True) as one:
        trusting = Node.at("us-east", f"{one.address}?sslrootcert={quote(str(CERTIFICATE))}")
        reader = NodeReader(
            [trusting, Node.at("us-east", one.address), Node.at("us-east", f"{one.address}?sslrootcert=no")]
        )
        one.text = exposition(EVERY)
        found = reader.read()
    assert len(found) == len(EVERY)
    assert {reading.name for reading in found} == {one.address}
    said = [note.partition(": ")[2] for note in reader.notes]
    assert "CERTIFICATE_VERIFY_FAILED" in said[0]
    assert "No such file or directory" in said[1]


def test_every_metric_of_every_node_is_read_and_levels_are_apart() -> None:
    with exporter() as one, exporter() as other:
        one.text, other.text = exposition(EVERY), exposition(EVERY | {"ranges_unavailable": 3.0})
        reader = NodeReader([Node("us-east", one.address), Node("eu-west", other.address + "/")])
        found = reader.read()
    assert reader.notes == []
    assert len(found) == 2 * len(EVERY)
    assert Reading("us-east", NODE, one.address, "txn_restarts_writetooold", 1000.0) in found
    assert [each for each in found if each.kind == HEALTH and each.value] == [
        Reading("eu-west", HEALTH, other.address + "/", "ranges_unavailable", 3.0)
    ]


def test_a_node_that_hangs_or_is_gone_costs_its_own_figures_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Node by node, so that the one that hangs is the only one whose time is short."""

    def one_by_one(read: Callable[[Node], list[Reading]], nodes: Sequence[Node]) -> Iterator[list[Reading]]:
        for node in nodes:
            monkeypatch.setattr(observing, "_SOCKET_TIMEOUT_S", 0.2 if node.region == "a" else HANG_S)
            yield read(node)

    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with exporter() as good, exporter() as hung, exporter() as refusing:
        good.text, hung.hangs, refusing.code = exposition(EVERY), True, 503
        gone = f"http://127.0.0.1:{port}"
        nodes = [Node(region, each) for region, each in (("a", hung.address), ("b", gone), ("c", refusing.address))]
        reader = NodeReader([*nodes, Node("d", good.address)], one_by_one)
        found = reader.read()
        assert {each.region for each in found} == {"d"}
        assert [note.split(":")[0] for note in reader.notes] == [
            f"no metrics of {node.region} from http" for node in nodes
        ]
        assert "timed out" in reader.notes[0]
        assert "refused" in reader.notes[1]
        assert "Service Unavailable" in reader.notes[2]


def test_a_trickle_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(observing, "NODE_TIMEOUT_S", 0.0)
    with exporter() as slow:
        slow.text = exposition(EVERY)
        reader = NodeReader([Node("a", slow.address)])
        assert reader.read() == []
    assert "not all of it within 0 s" in reader.notes[0]


def test_what_is_not_exported_is_said_once() -> None:
    with exporter() as older:
        older.text = exposition({name: value for name, value in EVERY.items() if name != "leases_transfers_success"})
        reader = NodeReader([Node("a", older.address)])
        assert reader.read()
        assert reader.notes == [f"{older.address} exports all but leases_transfers_success"]
        reader.read()
        assert len(reader.notes) == 1
    with exporter() as other:
        other.text = "process_cpu_seconds_total 7\n"
        reader = NodeReader([Node("a", other.address)])
        assert reader.read() == []
        assert reader.notes == [f"{other.address} exports none of the metrics of CockroachDB"]


def test_differences_are_by_phase_and_region_and_a_restarted_node_counts_from_zero() -> None:
    counters: list[Counter] = []
    with exporter() as east, exporter() as west, exporter() as second:
        nodes = [Node("us-east", east.address), Node("us-west", west.address), Node("us-west", second.address)]
        reader = NodeReader(nodes)

        def look(moment: str, elapsed_s: float, *grown: dict[str, float]) -> None:
            for served, more in zip((east, west, second), grown, strict=True):
                served.text = exposition(EVERY | more)
            counters.extend(Counter(moment, elapsed_s, *reading) for reading in reader.read())

        retried, restarts = "sql_statements_auto_retry_count", "txn_restarts_writetooold"
        sent = "distsender_batch_requests_cross_region_bytes"
        look("start", 0.0, {}, {}, {})
        look("warm-up", 5.0, {retried: 1002.0}, {}, {})
        # The second node of us-west has been restarted: it counts from zero again, and the region's sum has fallen.
        east_now = {retried: 1005.0, restarts: 1001.0, sent: 1000.0 + 2**21}
        look("sale", 9.0, east_now, {restarts: 1004.0}, dict.fromkeys(EVERY, 0.0) | {restarts: 7.0})
    rows = served_rows(counters)
    found = {(row.phase, row.metric.name): dict(row.by_region) for row in node_rows(rows)}
    assert found["warm-up", retried] == {"us-east": 2.0}
    assert found["sale", restarts] == {"us-east": 1.0, "us-west": 11.0}
    assert found["sale", retried] == {"us-east": 3.0, "us-west": 0.0}
    assert found["sale", sent] == {"us-east": 2.0, "us-west": 0.0}
    assert not [key for key in found if key[1] in LEVELS]
    beside = {row.region: row for row in retries_beside(rows, {"us-east": 4, "us-west": 0, "eu-west": 9})}
    assert (beside["us-east"].client, beside["us-east"].by_server, beside["us-east"].restarts) == (4, 5, 1)
    assert (beside["us-west"].by_server, beside["us-west"].restarts) == (0, 11)
    assert beside["us-east"].statements is None
    assert "eu-west" not in beside
