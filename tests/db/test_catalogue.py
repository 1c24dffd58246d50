"""The catalogue reads what is documented, and names every fault with its file and line."""

from decimal import Decimal
from pathlib import Path

import pytest

from bench.db.catalogue import Catalogue, Param, read, read_package
from bench.db.placeholders import placeholders_as_numbers, with_literals, with_names
from bench.errors import UsageError

RESERVE = """\
-- Statements of the stock.

-- name: reserve_guarded
-- One conditional UPDATE:
-- no row means sold out.
-- params: region text, product_id uuid,
-- params: price numeric(10,2), quantity bigint
UPDATE inventory -- the hot row
   SET quantity_available = quantity_available - %(quantity)s

   -- the guard
 WHERE region = %(region)s::crdb_internal_region AND product_id = %(product_id)s AND price < %(price)s
   AND quantity_available >= %(quantity)s /* enough */;

-- name: clock
SELECT now()
"""


def write(folder: Path, text: str, name: str = "stock.sql") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")
    return folder


def faults(folder: Path) -> list[str]:
    with pytest.raises(UsageError) as caught:
        Catalogue.load([folder], "postgres")
    return [line.strip().removeprefix(f"{folder}/") for line in caught.value.message.splitlines()[1:]]


def test_reads_name_description_params_and_statement(tmp_path):
    catalogue = Catalogue.load([write(tmp_path, RESERVE)], "cockroach")
    statement = catalogue["reserve_guarded"]
    assert list(catalogue) == ["reserve_guarded", "clock"]
    assert statement.description == "One conditional UPDATE: no row means sold out."
    assert statement.params == (
        Param("region", "text"),
        Param("product_id", "uuid"),
        Param("price", "numeric(10,2)"),
        Param("quantity", "bigint"),
    )
    assert (statement.dialect, statement.origin, statement.line) == (None, str(tmp_path / "stock.sql"), 3)
    assert catalogue["clock"].params == ()


def test_statement_is_sent_without_comments_blank_lines_or_semicolon(tmp_path):
    sql = Catalogue.load([write(tmp_path, RESERVE)], "postgres")["reserve_guarded"].sql
    assert sql.startswith("UPDATE inventory\n   SET")
    assert sql.endswith("quantity_available >= %(quantity)s")
    assert "\n\n" not in sql
    assert "guard" not in sql


def test_placeholders_are_numbered_in_the_order_of_the_params(tmp_path):
    statement = Catalogue.load([write(tmp_path, RESERVE)], "postgres")["reserve_guarded"]
    assert "quantity_available - $4" in statement.numbered
    assert "region = $1::crdb_internal_region AND product_id = $2 AND price < $3" in statement.numbered


@pytest.mark.parametrize(
    ("sql", "names", "numbered"),
    [
        ("%(b)s %(a)s %(b)s", (), "$1 $2 $1"),
        ("%(b)s %(a)s", ("a", "b"), "$2 $1"),
        ("'it''s %(a)s, 5%%' %(a)s", (), "'it''s %(a)s, 5%' $1"),
        (r"E'\'%(a)s' %(a)s", (), r"E'\'%(a)s' $1"),
        ('"odd %%" %(a)s', (), '"odd %" $1'),
        ("$x$ %(a)s $x$ %(a)s", (), "$x$ %(a)s $x$ $1"),
        ("7 %% %(a)s", (), "7 % $1"),
        ("/* %(b)s */ %(a)s -- %(b)s", (), "/* %(b)s */ $1 -- %(b)s"),
    ],
)
def test_placeholders_outside_literals_and_comments_become_numbers(sql, names, numbered):
    assert placeholders_as_numbers(sql, names) == numbered


def test_two_dialects_form_one_statement(tmp_path):
    write(
        tmp_path,
        "-- name: now_stale\n-- params: n bigint\n-- dialect: postgres\nSELECT %(n)s;\n"
        "-- name: now_stale\n-- dialect: cockroach\n-- params: n bigint\nSELECT %(n)s AS OF SYSTEM TIME '-1s';\n"
        "-- name: only_here\n-- dialect: cockroach\nSHOW REGIONS;\n",
    )
    postgres, cockroach = (Catalogue.load([tmp_path], dialect) for dialect in ("postgres", "cockroach"))
    assert list(postgres) == ["now_stale"]
    assert postgres["now_stale"].sql == "SELECT %(n)s"
    assert "SYSTEM TIME" in cockroach["now_stale"].sql
    assert list(cockroach) == ["now_stale", "only_here"]
    assert len(read([tmp_path])) == 3


def test_every_fault_is_named_with_its_file_and_line(tmp_path):
    write(
        tmp_path,
        "SELECT 0;\n"
        "-- name: First\nSELECT 1;\n"
        "-- name: second\n-- params: a bigint, b, a text\nSELECT %(a)s, %(c)s;\n"
        "-- name: third\n",
    )
    write(tmp_path, "-- name: second\nSELECT 1;\n-- name: fourth\n-- dialect: oracle\nSELECT 1; SELECT 2;\n", "x.sql")
    assert faults(tmp_path) == [
        "stock.sql:1: the statement has no `-- name:` line",
        "stock.sql:2: 'First' is not a name (want lower case letters, digits and _)",
        "stock.sql:4: parameter 'b' has no type",
        "stock.sql:4: parameter 'a' is declared twice",
        "stock.sql:4: parameter 'c' is used and not declared",
        "stock.sql:4: parameter 'b' is declared and not used",
        "stock.sql:7: 'third' has no statement",
        "x.sql:3: an entry holds one statement, this has several",
        "x.sql:3: 'oracle' is not a dialect (want postgres or cockroach)",
        f"x.sql:1: 'second' is already in {tmp_path}/stock.sql:4",
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("SELECT 5 % 2", "'%' is not a placeholder (want %(name)s, or %% for a percent sign)"),
        ("SELECT %s", "'%s' is not a placeholder (want %(name)s, or %% for a percent sign)"),
        ("SELECT %(a)", "'%(a)' is not a placeholder (want %(name)s, or %% for a percent sign)"),
        ("SELECT 'a%'", "a literal holds a lone % (write %%, and no placeholder inside a literal): 'a%'"),
        ("SELECT '%(a)s'", "a literal holds a lone % (write %%, and no placeholder inside a literal): '%(a)s'"),
        ("-- dialects: postgres\nSELECT 1", "'dialects:' is not a header (want params:, names: or dialect:)"),
        ("-- param: a bigint\nSELECT 1", "'param:' is not a header (want params:, names: or dialect:)"),
        ("-- params: a bigint\nSELECT 1", "parameter 'a' is declared and not used"),
    ],
)
def test_what_the_driver_would_trip_over_is_a_fault(tmp_path, text, fault):
    assert faults(write(tmp_path, f"-- name: s\n{text};\n")) == [f"stock.sql:1: {fault}"]


def test_percent_signs_semicolons_and_dashes_in_literals_are_content(tmp_path):
    write(tmp_path, "-- name: s\nSELECT 'a;b -- c', '5%%', $$x;y$$;\n")
    assert Catalogue.load([tmp_path], "postgres")["s"].sql == "SELECT 'a;b -- c', '5%%', $$x;y$$"


def test_an_entry_for_both_and_one_for_a_dialect_clash(tmp_path):
    write(tmp_path, "-- name: s\nSELECT 1;\n-- name: s\n-- dialect: postgres\nSELECT 2;\n")
    assert faults(tmp_path) == [f"stock.sql:3: 's' is already in {tmp_path}/stock.sql:1"]


def test_the_two_dialects_of_a_statement_take_the_same_params(tmp_path):
    write(
        tmp_path,
        "-- name: s\n-- dialect: postgres\nSELECT 1;\n-- name: s\n-- dialect: cockroach\n-- params: a text\nSELECT %(a)s;\n",
    )
    assert faults(tmp_path) == [f"stock.sql:4: 's' has other parameters than in {tmp_path}/stock.sql:1"]


def test_a_missing_folder_is_a_fault(tmp_path):
    with pytest.raises(UsageError, match="nowhere: no such file or folder"):
        Catalogue.load([tmp_path / "nowhere"], "postgres")


def test_several_folders_and_single_files_make_one_catalogue(tmp_path):
    mine = write(tmp_path / "mine", "-- name: mine\nSELECT 1;\n") / "stock.sql"
    catalogue = Catalogue.load([write(tmp_path / "ours", RESERVE), mine], "postgres")
    assert set(catalogue) == {"reserve_guarded", "clock", "mine"}


def test_missing_statements_are_named_with_what_comes_close(tmp_path):
    catalogue = Catalogue.load([write(tmp_path, RESERVE)], "postgres")
    assert [statement.name for statement in catalogue.require("clock")] == ["clock"]
    with pytest.raises(UsageError) as caught:
        catalogue.require("reserve_garded", "clock", "zzz")
    assert caught.value.message == "the statement catalogue has no 'reserve_garded', 'zzz'"
    assert caught.value.hint == "did you mean reserve_guarded?"


def test_package_data_is_read_by_name():
    assert read_package("bench.audit", "sql").is_dir()
    with pytest.raises(UsageError, match=r"no package named 'bench\.nowhere'"):
        read_package("bench.nowhere", "sql")


def test_literals_are_quoted_for_a_human_to_run():
    values = {"n": Decimal("1.50"), "s": "O'Hara %", "none": None, "yes": True, "unused": 1}
    sql = "SELECT %(n)s, %(s)s, %(none)s, %(yes)s, '%%(s)' WHERE 5 %% 2 = 1"
    assert with_literals(sql, values) == "SELECT 1.50, 'O''Hara %', NULL, 'True', '%(s)' WHERE 5 % 2 = 1"
    with pytest.raises(KeyError):
        with_literals("SELECT %(missing)s", values)


def test_identifiers_are_named_apart_from_values(tmp_path):
    write(
        tmp_path,
        "-- name: s\n-- names: table, columns\n-- params: n bigint\n"
        "SELECT {columns}, '{table}', '{}' FROM {table} WHERE 5 = %(n)s;\n",
    )
    statement = Catalogue.load([tmp_path], "postgres")["s"]
    assert statement.names == ("table", "columns")
    assert statement.named(table='a"b', columns=("c", "d")) == (
        'SELECT "c", "d", \'{table}\', \'{}\' FROM "a""b" WHERE 5 = %(n)s'
    )
    with pytest.raises(KeyError):
        with_names("SELECT {missing}", {})


def test_identifiers_must_be_declared_and_used(tmp_path):
    write(tmp_path, "-- name: s\n-- names: table, other\nSELECT 1 FROM {table}, {third};\n")
    assert faults(tmp_path) == [
        "stock.sql:1: identifier 'third' is used and not declared",
        "stock.sql:1: identifier 'other' is declared and not used",
    ]
