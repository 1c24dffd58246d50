"""A run that reads metrics of nodes: they reach the store, the report and the verdict, and a silent node is an event."""

import socket
from dataclasses import replace

import pytest

import bench.load  # noqa: F401  (patches the standard library before psycopg is imported)
from bench.cli.observing import with_metrics
from bench.cli.options import TargetOptions, parse_metrics
from bench.errors import UsageError
from bench.target.base import Target
from tests.db.node_metrics import EVERY, exporter, exposition

from .conftest import Start


@pytest.mark.slow
def test_what_nodes_count_is_in_the_report_by_region_and_an_unwhole_cluster_degrades_the_run(
    start: Start, steady: str
) -> None:
    with socket.socket() as closed, exporter() as east, exporter() as west:
        # Bound, so that nobody else gets the port, and not listening.
        closed.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{closed.getsockname()[1]}"
        east.text = west.text = exposition(EVERY)
        nodes = (f"us-east={east.address}", f"eu-west={west.address}", f"asia-pac={gone}")
        play = start(steady, "--no-distance", *(part for node in nodes for part in ("--metrics", node)))
        play.until(2.0)
        assert east.asked == 1
        east.text = exposition(EVERY | {"sql_txn_auto_retry_count": 1042.0, "ranges_underreplicated": 6.0})
        code, out, err = play.end()
    # A busy machine may be the worse reason.
    assert code in (0, 4), err + out
    with play.run() as run:
        assert run.validity.verdict in ("DEGRADED", "INVALID")
        unwhole = "6 ranges were under-replicated at the end of 'steady' (us-east 6)"
        assert any(unwhole in reason for reason in run.validity.reasons)
        kept = {(each.region, each.kind, each.metric, each.moment): each.value for each in run.counters}
        assert kept["us-east", "node", "sql_txn_auto_retry_count", "start"] == 1000.0
        assert kept["us-east", "node", "sql_txn_auto_retry_count", "steady"] == 1042.0
        assert kept["eu-west", "health", "ranges_unavailable", "steady"] == 0.0
        silent = [event.detail for event in run.events if event.kind == "counters" and "asia-pac" in event.detail]
        assert len(silent) == 2
        assert gone in silent[0]
        report = (run.path / "report.md").read_text()
    row = next(
        line for line in report.splitlines() if line.startswith("| us-east | 0 |") and line.endswith("| 42 | 0 |")
    )
    assert row == "| us-east | 0 | – | 42 | 0 |"
    assert "transactions retried by the server" in report
    assert unwhole in report


def test_addresses_are_of_regions_of_the_run() -> None:
    target = Target("embedded", "postgres", "18.6", "pg", {"us-east": ("postgresql://h/shop",)})
    given = (("us-east", "http://a:1"), ("us-east", "http://b:1"))
    options = TargetOptions(None, (), None, None, given)
    assert with_metrics(target, options).metrics == {"us-east": ("http://a:1", "http://b:1")}
    assert with_metrics(target, replace(options, metrics=())) is target
    more = replace(options, metrics=(*given, ("eu-west", "http://c:1")))
    with pytest.raises(UsageError, match="'eu-west', which is not in the run"):
        with_metrics(target, more)
    # The cluster's own are of all its regions, also where a run is of some.
    assert with_metrics(target, replace(more, is_cluster=True)).metrics == {"us-east": ("http://a:1", "http://b:1")}


def test_an_address_that_is_none_is_refused() -> None:
    for text in ("eu-west=localhost:8080", "http://localhost:8080", "=http://localhost:8080"):
        with pytest.raises(UsageError, match="is not where a node exports its metrics") as error:
            parse_metrics((text,))
        assert error.value.hint == "pass --metrics us-east=http://host:8080"
