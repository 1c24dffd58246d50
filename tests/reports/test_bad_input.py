"""Runs that are short, empty, of tomorrow or damaged: a stated gap or an error of three lines, never a traceback."""

import json
import re
import shutil
import sqlite3

import pytest
from bench.reports.write import write_reports

from bench.errors import BenchError, UsageError
from bench.results.versions import MANIFEST_VERSION, STORE_VERSION
from tests.reports.reading import Page
from tests.results.synthetic import write_empty, write_run

PROGRAM_WORDS = re.compile(r"\b(nan|NaN|None|null|inf|Infinity|undefined|Traceback|Error)\b")
TABLES = (
    "frames",
    "transactions",
    "statements",
    "retries",
    "arrivals",
    "generator",
    "events",
    "outcome",
    "meta",
    "stock",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "whole"
    write_run(path, last=12)
    return path


@pytest.fixture
def copy(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "copy")


def refused(folder) -> BenchError:
    """The error that the run is refused with: as the command shows it, three lines at most."""
    with pytest.raises(UsageError) as caught:
        write_reports(folder)
    error = caught.value
    parts = [error.message, *filter(None, (error.cause, error.hint))]
    assert len(parts) <= 3
    assert not any("\n" in part for part in parts)
    assert not PROGRAM_WORDS.search(error.message)
    assert not (folder / "report.html").exists()
    return error


@pytest.mark.parametrize("last", [1, 6])
@pytest.mark.parametrize("status", ["complete", None])
def test_a_run_of_seconds_has_a_page_that_names_its_gaps(tmp_path, last, status):
    write_run(tmp_path / "r", last=last, status=status, findings=())
    html, markdown, summary = write_reports(tmp_path / "r")
    page = Page(html.read_text())
    for text in (page.text, markdown.read_text()):
        assert not PROGRAM_WORDS.findall(text)
    assert not re.search(r"NaN|Infinity", summary.read_text())
    gaps = {row["what"]: row["why"] for row in page.table("What is missing")}
    assert "the audit" in gaps
    assert ("all figures of transactions" in gaps) == (last < 6)
    assert ("intervals" in gaps) == (last == 6)
    assert ("the rest of the schedule" in gaps) == (status is None)
    if status is None:
        assert "spike" in gaps["the rest of the schedule"]


def test_an_empty_run_names_its_gaps(tmp_path):
    write_empty(tmp_path / "r")
    gaps = Page(write_reports(tmp_path / "r")[0].read_text()).table("What is missing")
    assert {"all figures of transactions", "the audit", "the server's counters over time"} <= {
        row["what"] for row in gaps
    }


@pytest.mark.slow
def test_a_whole_run_misses_nothing(tmp_path):
    write_run(tmp_path / "r")
    page = Page(write_reports(tmp_path / "r")[0].read_text())
    assert not [table for table in page.tables if table.caption.startswith("What is missing")]


def test_a_store_of_a_newer_format(copy):
    db = sqlite3.connect(copy / "run.sqlite")
    db.execute("UPDATE meta SET value = ?", (str(STORE_VERSION + 1),))
    db.commit()
    db.close()
    error = refused(copy)
    assert f"has format {STORE_VERSION + 1}" in error.message
    assert "install a newer shopbench" in error.hint


def test_a_manifest_of_a_newer_format(copy):
    document = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps(document | {"schema_version": MANIFEST_VERSION + 1}))
    assert f"has format {MANIFEST_VERSION + 1}" in refused(copy).message


@pytest.mark.parametrize("text", [None, "", "{", "[]", '{"schema_version": 1}', '{"schema_version": "x"}'])
def test_a_manifest_that_is_missing_or_not_one(copy, text):
    if text is None:
        (copy / "manifest.json").unlink()
    else:
        (copy / "manifest.json").write_text(text)
    assert "manifest.json'" in refused(copy).message


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.99])
def test_a_store_cut_short(copy, share):
    store = copy / "run.sqlite"
    data = store.read_bytes()
    store.write_bytes(data[: int(len(data) * share)])
    assert str(copy) in refused(copy).message


@pytest.mark.parametrize("table", TABLES)
def test_a_store_without_a_table(copy, table):
    db = sqlite3.connect(copy / "run.sqlite")
    db.execute(f"DROP TABLE {table}")
    db.commit()
    db.close()
    assert str(copy) in refused(copy).message


def first_packed(db, table, column):
    rowid, packed = db.execute(f"SELECT rowid, {column} FROM {table} ORDER BY length({column}) DESC LIMIT 1").fetchone()
    return rowid, bytearray(packed)


@pytest.mark.parametrize("at", [0, 13, 30, 36, 41, -6, -1])
@pytest.mark.parametrize(
    ("table", "column"), [("transactions", "response"), ("statements", "time"), ("arrivals", "lag")]
)
def test_one_byte_of_a_histogram_turned_over(copy, table, column, at):
    """Where the size, the count, an end, the way of packing, a bucket or a sum is wrong, nothing is reported of it."""
    db = sqlite3.connect(copy / "run.sqlite")
    rowid, packed = first_packed(db, table, column)
    packed[at] ^= 0xFF
    db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (bytes(packed), rowid))
    db.commit()
    db.close()
    assert "damaged" in refused(copy).message


@pytest.mark.parametrize("value", ["text", None, b"short"])
def test_something_else_in_the_place_of_a_histogram(copy, value):
    db = sqlite3.connect(copy / "run.sqlite")
    db.execute("CREATE TABLE free AS SELECT * FROM statements")
    db.execute("DROP TABLE statements")
    db.execute("ALTER TABLE free RENAME TO statements")
    db.execute("UPDATE statements SET time = ? WHERE rowid = 5", (value,))
    db.commit()
    db.close()
    assert "damaged" in refused(copy).message


@pytest.mark.slow
def test_bytes_of_the_store_turned_over_at_random(whole, tmp_path):
    """Each of forty damages is a refusal or a page, and never another kind of error."""
    data = (whole / "run.sqlite").read_bytes()
    refusals = 0
    for number in range(40):
        folder = tmp_path / str(number)
        folder.mkdir()
        shutil.copy(whole / "manifest.json", folder)
        damaged = bytearray(data)
        for place in range(200):
            damaged[(number * 7919 + place * 104_729) % len(damaged)] ^= 0x5A
        (folder / "run.sqlite").write_bytes(damaged)
        try:
            page = Page(write_reports(folder)[0].read_text())
        except UsageError:
            refusals += 1
        else:
            assert not PROGRAM_WORDS.findall(page.text)
    assert refusals >= 30


def test_the_command_says_it_in_three_lines(bench, copy):
    (copy / "run.sqlite").write_bytes(b"not a database, and long enough to look like one" * 100)
    result = bench("report", str(copy))
    assert result.returncode == 2
    lines = result.stderr.splitlines()
    assert lines[0].startswith("error: ")
    assert len(lines) <= 3
    assert result.stdout == ""
