"""What only a cluster tells: who did work again, what its nodes counted by region, where the leaseholders are."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from bench.reports.cluster import cluster
from bench.reports.facts import Facts, gather
from bench.reports.model import Block, Folded, Table
from bench.reports.served import served

from bench.metrics.frame import Counter
from bench.results.read import Run
from tests.results import synthetic

EAST, EU = synthetic.REGIONS[0], synthetic.REGIONS[2]


class OnNodes(synthetic.Maker):
    """A cluster's counters beside the others: two nodes in one region, one in another."""

    def _counters(self, second):
        found = list(super()._counters(second))
        yield from found
        if not found:
            return
        moment, at = found[0].moment, found[0].elapsed_s
        for region, node, factor in ((EAST, "n1", 1), (EAST, "n2", 10), (EU, "n3", 100)):
            for metric in ("sql_statements_auto_retry_count", "txn_restarts_writetooold"):
                yield Counter(moment, at, region, "node", node, metric, float(factor * second))
            sent = 2.0**20 * factor * second
            yield Counter(moment, at, region, "node", node, "raft_sent_cross_region_bytes", sent)
        yield Counter(moment, at, EU, "statement", "UPDATE _ #1", "retries", 2.0 * second)
        if moment == synthetic.PHASES[-1][0]:
            for region, keys in ((EAST, 150), (EU, 50)):
                yield Counter(moment, at, region, "lease", "orders@orders_pkey", "ranges", 3.0)
                yield Counter(moment, at, region, "lease", "orders@orders_pkey", "live_keys", float(keys))
                yield Counter(moment, at, region, "home", "orders", "rows", 100.0)


def tables(blocks: Iterable[Block]) -> Iterator[Table]:
    for block in blocks:
        if isinstance(block, Table):
            yield block
        elif isinstance(block, Folded):
            yield from tables(block.blocks)


def row(table: Table, first: str) -> list[str]:
    (found,) = [cells for cells in table.rows if cells[0].text == first]
    return [cell.text for cell in found]


@pytest.fixture
def facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Facts:
    monkeypatch.setattr(synthetic, "Maker", OnNodes)
    synthetic.write_run(tmp_path / "run")
    with Run.open(tmp_path / "run") as run:
        return gather(run)


def test_the_tables_of_a_cluster(facts: Facts) -> None:
    found = {table.caption: table for table in tables(cluster(facts))}
    last = synthetic.LAST - 1
    retries = found["Who did work again, by region"]
    assert retries.head[2] == "#statements outside BEGIN, by the server"
    assert row(retries, EAST) == [EAST, f"{facts.refused[EAST]:,}", "–", str(11 * last), str(11 * last)]
    assert row(retries, EU)[2:] == [str(2 * last), f"{100 * last:,}", f"{100 * last:,}"]
    assert facts.refused[EAST] > 0
    # In the first phase, of five seconds: from 0 to the reading at its end.
    nodes = found["Metrics of the nodes, in 'warm-up'"]
    assert nodes.head == ("what", "of", f"#{EAST}", f"#{EU}", "#all", "metric")
    sent = row(nodes, "replication sent to other regions")
    assert sent[2:5] == ["44.00 MiB", "400.00 MiB", "444.00 MiB"]
    places = row(found["Where the leaseholders are"], "orders@orders_pkey")
    assert places == ["orders@orders_pkey", "150", "50", "25 %"]
    # Nodes are not shown once more, one by one.
    captions = [table.caption for table in tables(served(facts))]
    assert captions
    assert not [caption for caption in captions if caption.startswith("node")]


def test_on_one_server_there_are_none_of_them(tmp_path: Path) -> None:
    synthetic.write_tiny(tmp_path / "run")
    with Run.open(tmp_path / "run") as run:
        assert cluster(gather(run)) == ()
