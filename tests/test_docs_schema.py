"""The page on the schema accounts for every statement of the seed and names everything that the model has."""

import re
from pathlib import Path

import pytest

from bench.db.catalogue import read
from bench.db.ddl import source

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "schema.md").read_text(encoding="utf-8")
MODEL = source().MODEL
VERDICTS = {"kept", "corrected", "variant"}


def rows() -> dict[str, list[str]]:
    """The cells of the seed's statements, by number."""
    found = [
        [cell.strip() for cell in line.strip("| ").split(" | ")]
        for line in TEXT.splitlines()
        if re.match(r"\| S\d", line)
    ]
    numbers = [cells[0] for cells in found]
    assert len(numbers) == len(set(numbers))
    return dict(zip(numbers, found, strict=True))


def test_every_statement_of_the_seed_has_one_row_with_a_verdict():
    assert set(rows()) == {f"S{number}" for number in range(1, 41)}
    assert {cells[2] for cells in rows().values()} == VERDICTS
    assert all(len(cells) == 4 for cells in rows().values())


def added_section() -> str:
    return TEXT.split("\n## Added beyond the seed\n")[1]


def names() -> list[str]:
    views = [view.name for view in MODEL.views]
    columns = ["variant_key", "order_key", "search_vector", "idempotency_key", "reference_region", "created_by_region"]
    return [
        *(table.name for table in MODEL.tables),
        *(index.name for index in MODEL.indexes),
        *views,
        *(f"{view}_key" for view in views),
        *source().VARIANTS,
        *columns,
        "order_number_seq",
        "generate_order_number()",
        "crdb_internal_region",
    ]


@pytest.mark.parametrize("name", names())
def test_everything_of_the_model_is_named(name):
    assert re.search(rf"[`( ]{re.escape(name)}[`) ]", TEXT)


def test_each_object_is_told_in_the_row_of_its_statement():
    for part in (*MODEL.tables, *MODEL.indexes, *MODEL.views):
        for number in part.source.split():
            told = part.name if number not in {"S2", "S10", "S36", "S37"} else ""
            assert told in " ".join(rows()[number]), (number, part.name)


def test_every_index_without_a_statement_of_the_seed_has_a_reason():
    added = {index.name for index in MODEL.indexes if not index.source}
    assert added == set(re.findall(r"^\| `(idx_\w+)` \| \w", added_section(), re.MULTILINE))


def test_every_table_without_a_statement_of_the_seed_has_a_reason():
    section = TEXT.split("## Added beyond the seed")[1]
    assert {table.name for table in MODEL.tables if not table.source} <= set(
        re.findall(r"^- `(\w+)`:", section, re.MULTILINE)
    )


def test_places_that_are_named_exist():
    paths = set(re.findall(r"`((?:bench|schema|workloads|tests|docs)/[\w./]*)`", TEXT))
    assert len(paths) > 8
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_statements_that_are_named_exist():
    known = {statement.name for statement in read([ROOT / "workloads" / "sql"])}
    mentioned = {"lock_stock", "reserve_guarded", "take_stock_if_unchanged", "overwrite_stock", "find_order"}
    mentioned |= {"add_cart_item", "view_cart"}
    assert mentioned <= set(re.findall(r"`(\w+)`", TEXT))
    assert mentioned <= known


def test_global_and_regional_tables_are_told_apart():
    line = re.search(r"\*\*Regional or global\.\*\*(.*?)belong to a region\.(.*?)rarely written", TEXT, re.DOTALL)
    assert line
    regional, global_ = (set(re.findall(r"`(\w+)`", part)) for part in line.groups())
    assert regional == {table.name for table in MODEL.tables if table.is_regional}
    assert global_ == {table.name for table in MODEL.tables if not table.is_regional}
