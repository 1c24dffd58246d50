"""The price of a variant: a planted factor is found where it was planted, and two runs of one thing show none."""

from pathlib import Path

import pytest

from bench.cli.variants import own_arguments, parse_variants
from bench.cli.variants_table import variants_markdown, variants_text
from bench.errors import UsageError
from bench.results.read import Run
from bench.results.summarise import summarise_run
from bench.stats.variants import Material, variant_cells, variant_run
from tests.results import synthetic

FACTOR = 3.0


class Dear(synthetic.Maker):
    """A server on which transactions of one region take three times as long."""

    def _samples(self, region, median_ms, n):
        response, service = super()._samples(region, median_ms, n)
        factor = FACTOR if region == synthetic.REGIONS[1] else 1
        return (factor * response).astype(int), (factor * service).astype(int)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Material, ...]:
    folder = tmp_path_factory.mktemp("variants")
    synthetic.write_run(folder / "first", seed=1)
    plain, synthetic.Maker = synthetic.Maker, Dear
    try:
        synthetic.write_run(folder / "dear", seed=3)
    finally:
        synthetic.Maker = plain
    return tuple(material(folder / name, name) for name in ("first", "dear"))


def material(path: Path, variant: str) -> Material:
    with Run.open(path) as run:
        return Material(variant, run.manifest.run_id, summarise_run(run), run.scan.blocks)


def test_the_planted_price_is_found_in_its_region_alone(runs) -> None:
    cells = {(cell.transaction, cell.region, cell.variant): cell for cell in variant_cells(runs)}
    near, far = synthetic.REGIONS[:2]
    assert not cells["browse", far, "first"].prices
    dear = cells["browse", far, "dear"].prices
    assert dear["p50_ms"].low < FACTOR < dear["p50_ms"].high
    assert dear["p50_ms"].is_clear
    assert dear["p99_ms"].value == pytest.approx(FACTOR, rel=0.05)
    # Elsewhere the two are runs of one thing.
    for region in (near, *synthetic.REGIONS[2:]):
        price = cells["browse", region, "dear"].prices["p50_ms"]
        assert price.low < 1 < price.high, region
        assert not price.is_clear


def test_the_interval_is_wider_than_that_of_the_samples_alone(runs) -> None:
    cells, place = variant_cells(runs), ("browse", synthetic.REGIONS[0], "dear")
    price = next(cell for cell in cells if (cell.transaction, cell.region, cell.variant) == place)
    # exp(1.96 sqrt(2) hypot(0.04, 0.08)) = 1.28: what medians of two runs of one thing differ by, whatever their samples say.
    ratio = price.prices["p50_ms"]
    assert ratio.high / ratio.value > 1.25
    assert ratio.value / ratio.low > 1.25


def test_a_figure_that_is_a_bound_has_no_price(runs) -> None:
    cells = [cell for cell in variant_cells(runs) if cell.response.at_least and cell.variant != "first"]
    assert cells
    assert not [name for cell in cells for name in cell.response.at_least if name in cell.prices]


def test_every_place_is_there_once_for_each_variant_and_the_tables_hold_them(runs) -> None:
    cells, rows = variant_cells(runs), [variant_run(run) for run in runs]
    places = [(cell.transaction, cell.region) for cell in cells]
    assert places[:2] == [(None, None)] * 2
    assert all(places.count(place) == 2 for place in places)
    text = variants_text(rows, cells)
    assert [line.split()[0] for line in text.splitlines()[1:3]] == ["first", "dear"]
    assert "browse" not in text
    markdown = variants_markdown("Which?", rows, cells)
    assert markdown.count("| browse |") == 2 * (1 + len(synthetic.REGIONS))
    assert "as a multiple of that on first" in markdown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pg,pgx", "no schema variant named 'pgx'"),
        ("pg", "not a list of two or more"),
        ("pg,pg", "not a list of two or more"),
        ("pg,crdb_rbr", "are of two databases"),
    ],
)
def test_variants_that_cannot_be_compared(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_variants(text)


def test_the_price_of_global_uniqueness_is_a_list() -> None:
    names = "crdb_rbr, crdb_rbr_global_unique,crdb_partition_by"
    assert parse_variants(names) == ("crdb_rbr", "crdb_rbr_global_unique", "crdb_partition_by")


def test_each_variant_gets_the_other_arguments() -> None:
    given = ["run", "checkout", "--yes", "--url", "postgresql://x", "--variants=pg,pg_partitioned", "--set", "yes=1"]
    given += [
        "--gateway",
        "a=postgresql://y",
        "--gateway=b=postgresql://z",
        "--rate",
        "9/s",
        "--metrics",
        "a=http://h:1",
    ]
    assert list(own_arguments(given)) == [*("run", "checkout", "--set", "yes=1", "--rate", "9/s")]
