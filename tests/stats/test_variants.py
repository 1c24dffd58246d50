"""The price of a variant: a planted factor is found where it was planted, and two runs of one thing show none."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli.variants import own_arguments, parse_variants
from bench.cli.variants_table import variants_markdown, variants_text
from bench.errors import UsageError
from bench.metrics.outcome import Finding
from bench.results.read import Run
from bench.results.summarise import summarise_run
from bench.stats.validity import Validity
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
    # What medians of two runs of one thing differ by, whatever their samples say: of one run against one, so by Student's t
    # with as many degrees of freedom as in `bench compare` (2.13; the normal's 1.96 would make it 1.28).
    floor = math.exp(2.1314 * math.sqrt(2) * math.hypot(0.04, 0.08))
    assert floor == pytest.approx(1.309, abs=0.001)
    ratio = price.prices["p50_ms"]
    for widened in (ratio.high / ratio.value, ratio.value / ratio.low):
        assert floor < widened < 1.02 * floor


def short_of(run: Material, **changed: object) -> Material:
    return replace(run, summary=replace(run.summary, **changed))  # type: ignore[arg-type]


UNFIT = {
    "invalid": {"validity": Validity("INVALID", ("the machine had no free core",))},
    "cut short": {"status": "interrupted"},
    "wrong data": {"findings": (Finding("stock", "stock is not below zero", passed=False, violations=1),)},
}


@pytest.mark.parametrize("changed", UNFIT.values(), ids=UNFIT)
@pytest.mark.parametrize("which", [0, 1])
def test_no_prices_with_a_run_that_says_nothing(runs: tuple[Material, ...], changed: dict, which: int) -> None:
    sides = list(runs)
    sides[which] = short_of(runs[which], **changed)
    cells, rows = variant_cells(sides), [variant_run(run) for run in sides]
    assert len(cells) == len(variant_cells(runs))
    assert not [cell for cell in cells if cell.prices]
    assert [row.has_prices for row in rows] == [number != which for number in (0, 1)]
    said = f"no multiple with {sides[which].variant}: its run is INVALID, not complete, or its data is wrong"
    assert [line for line in variants_text(rows, cells).splitlines() if "no multiple" in line] == [said]
    assert f"- {said}" in variants_markdown("Which?", rows, cells)


def test_a_third_variant_keeps_its_prices_beside_one_that_has_none(runs: tuple[Material, ...]) -> None:
    cells = variant_cells((runs[0], short_of(runs[1], status="interrupted"), replace(runs[1], variant="third")))
    assert {cell.variant for cell in cells if cell.prices} == {"third"}


def test_of_runs_that_are_fit_or_only_degraded_nothing_is_left_out(runs: tuple[Material, ...]) -> None:
    degraded = (runs[0], short_of(runs[1], validity=Validity("DEGRADED", ("stalls",))))
    assert [cell.prices for cell in variant_cells(degraded)] == [cell.prices for cell in variant_cells(runs)]
    assert "no multiple" not in variants_text([variant_run(run) for run in runs], variant_cells(runs))


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
