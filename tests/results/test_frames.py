"""Times by second add up to those of the whole run, in the order of time."""

import pytest

from bench.metrics.histogram import Histogram
from bench.results.frames import Label, all_frame_histograms
from bench.results.read import Run
from bench.stats.phases import measured_names
from tests.results.synthetic import LAST, write_run


@pytest.fixture(scope="module")
def sale(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "sale"
    write_run(path)
    return path


def test_seconds_add_up_to_the_run(sale):
    with Run.open(sale) as run:
        names = measured_names(run.manifest.phases)
        by_second = all_frame_histograms(run, "transaction", "service")
        for label, seconds in by_second.items():
            cells = [
                c for c in run.cells if c.phase in names and c.name == label.name and label.region in (None, c.region)
            ]
            whole, merged = Histogram.merge(c.service for c in cells), Histogram.merge(seconds)
            assert (whole.count, whole.sum_ns) == (merged.count, merged.sum_ns)
            # The warm-up of five seconds is not measured.
            assert len(seconds) == LAST - 5
        assert {label.region for label in by_second} == {None, *run.manifest.regions}


def test_a_statement_is_found_under_its_transaction(sale):
    with Run.open(sale) as run:
        by_second = all_frame_histograms(run, "statement")
        cells = [c for c in run.statements if c.statement == "reserve_stock" and c.phase != "warm-up"]
    seconds = by_second[Label("statement", "checkout/reserve_stock", None)]
    assert Histogram.merge(seconds).count == sum(cell.time.count for cell in cells)


def test_seconds_are_in_order_and_can_be_pooled(sale):
    label = Label("transaction", "browse", None)
    with Run.open(sale) as run:
        seconds = all_frame_histograms(run, "transaction")[label]
        blocks = all_frame_histograms(run, "transaction", blocks=5)[label]
        of_browse = "name = 'browse' AND phase <> 'warm-up'"
        query = f"SELECT frame, sum(count) FROM transactions WHERE {of_browse} GROUP BY 1 ORDER BY 1"
        counts = [count for _, count in run.rows(query)]
    assert [second.count for second in seconds] == counts
    assert [block.count for block in blocks] == [sum(counts[start : start + 5]) for start in range(0, 25, 5)]


def test_a_run_that_was_cut_short_has_its_seconds(tmp_path):
    write_run(tmp_path / "run", last=12, status=None)
    with Run.open(tmp_path / "run") as run:
        assert {len(seconds) for seconds in all_frame_histograms(run, "transaction").values()} == {7}
