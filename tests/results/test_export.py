"""Exports hold what the store holds: read back with the libraries that others read them with."""

import contextlib
import csv
import doctest
import json
import math
import sqlite3
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UsageError
from bench.metrics.frame import Frame, TransactionCell
from bench.metrics.histogram import Histogram
from bench.metrics.packed import unpack
from bench.results import export_hdr, export_tables
from bench.results.export import export_run
from bench.results.export_columns import store_tables
from bench.results.export_folder import staging
from bench.results.export_hdr import LONGEST_NS
from bench.results.export_times import PERCENTILES, percentiles_ns
from bench.results.read import Run
from bench.results.store import RunWriter
from tests.results.synthetic import as_format_1, manifest, write_empty, write_run

TABLES = {table.name for table in store_tables()}
HISTOGRAMS = {"transactions": ("response", "service"), "statements": ("time",), "arrivals": ("lag", "dispatch")}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stored") / "r"
    write_run(folder, last=15)
    return folder


def export(run_dir: Path, target: Path, form: str, **options) -> dict[str, int]:
    with Run.open(run_dir) as run:
        return export_run(run, target, form, **options)


def change(run_dir: Path, statement: str, *values: str) -> None:
    with contextlib.closing(sqlite3.connect(run_dir / "run.sqlite")) as db:
        db.execute(statement, values)
        db.commit()


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_percentiles_of_many_are_those_of_each_to_the_bit():
    rng = np.random.default_rng(7)
    sizes = [0, 1, 2, 3, 19, 20, 21, 99, 100, 101, 999, 1000, 1001, 1, 0]
    parts = [Histogram.of((rng.lognormal(2, 1, n) * 1e6).astype(np.int64)) for n in sizes]
    parts += [Histogram.of(np.zeros(5, np.int64)), Histogram.of(np.full(1000, 7_000_000, np.int64))]
    found = unpack([part.to_bytes() for part in parts])
    for percent in (0.0, 50.0, 95.0, 99.0, 99.9, 100.0):
        for part, value in zip(parts, percentiles_ns(found, percent).tolist(), strict=True):
            wanted = part.percentile_ns(percent)
            assert math.isnan(value) if wanted is None else value == wanted, (percent, part.count)


@pytest.mark.parametrize("module", [export_tables, export_hdr])
def test_examples(module):
    found = doctest.testmod(module)
    assert found.attempted
    assert not found.failed


def test_csv_is_the_store(run_dir, tmp_path):
    written = export(run_dir, tmp_path / "out", "csv")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *(f"{table}.csv" for table in TABLES),
        "manifest.json",
        "export.json",
    }
    db = sqlite3.connect(run_dir / "run.sqlite")
    db.row_factory = sqlite3.Row
    for table in TABLES:
        stored = db.execute(f"SELECT * FROM {table}").fetchall()
        exported = rows_of(tmp_path / "out" / f"{table}.csv")
        assert len(stored) == len(exported) == written[f"{table}.csv"], table
        for row, cells in zip(stored, exported, strict=True):
            for name in row.keys():  # noqa: SIM118 - a row of sqlite3 yields its values
                if isinstance(row[name], bytes):
                    same_times(Histogram.from_bytes(row[name]), name, cells)
                else:
                    assert cells[name] == ("" if row[name] is None else str(row[name])), (table, name)
    db.close()


def same_times(times, name, cells):
    def cell(part):
        text = cells[f"{name}_{part}"]
        return float(text) if text else None

    assert cell("count") == times.count
    assert cell("sum_ms") == times.sum_ns / 1e6
    if times.count:
        assert (cell("min_ms"), cell("max_ms")) == (times.min_ns / 1e6, times.max_ns / 1e6)
    for part, percent in PERCENTILES:
        assert cell(part) == times.percentile_ms(percent)


def test_columns_are_documented_and_carry_their_unit():
    text = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    for table in store_tables():
        assert f"`{table.name}`" in text
        for column in table.columns:
            if column.kind == "real":
                assert column.name.endswith(("_ms", "_s", "_share")) or f"`{column.name}`" in text, column
    for name, _ in PERCENTILES:
        assert f"`_{name}`" in text


def test_texts_that_would_break_a_line(tmp_path):
    write_run(tmp_path / "r", last=1)
    nasty = 'a "quoted", \r\n two-line; text'
    change(tmp_path / "r", "UPDATE journal SET order_number = ?, status = '' WHERE order_id = 'o-1'", nasty)
    export(tmp_path / "r", tmp_path / "out", "csv")
    assert rows_of(tmp_path / "out" / "journal.csv")[0]["order_number"] == nasty
    assert rows_of(tmp_path / "out" / "journal.csv")[0]["status"] == ""
    assert b',"",1,' in (tmp_path / "out" / "journal.csv").read_bytes(), "an empty text is not nothing"


def test_parquet_is_the_csv(run_dir, tmp_path):
    parquet = pytest.importorskip(
        "pyarrow.parquet", reason="pyarrow (170 MB) is the extra `parquet`, not installed here"
    )
    export(run_dir, tmp_path / "csv", "csv")
    written = export(run_dir, tmp_path / "pq", "parquet")
    assert {name.partition(".")[0] for name in written} == TABLES
    for table in store_tables():
        found = parquet.read_table(tmp_path / "pq" / f"{table.name}.parquet")
        kinds = {"integer": "int64", "real": "double", "text": "string"}
        assert [(f.name, str(f.type)) for f in found.schema] == [(c.name, kinds[c.kind]) for c in table.columns]
        texts = [
            {name: "" if value is None else str(value) for name, value in row.items()} for row in found.to_pylist()
        ]
        assert texts == rows_of(tmp_path / "csv" / f"{table.name}.csv"), table.name


# HdrHistogram ----------------------------------------------------------------


def pooled(run_dir: Path) -> dict[tuple[str, str, bool, str], Histogram]:
    parts = defaultdict(list)
    with Run.open(run_dir) as run:
        for cell in run.cells:
            for which in ("response", "service"):
                parts[cell.region, cell.name, cell.kind == "failure", which].append(getattr(cell, which))
    return {label: Histogram.merge(found) for label, found in parts.items()}


def read_log(path: Path):
    hdrh = pytest.importorskip("hdrh.log")
    histogram = pytest.importorskip("hdrh.histogram").HdrHistogram
    reader = hdrh.HistogramLogReader(str(path), histogram(1, LONGEST_NS, 3))
    intervals = []
    while (interval := reader.get_next_interval_histogram()) is not None:
        intervals.append(interval)
    reader.close()
    whole = histogram(1, LONGEST_NS, 3)
    for interval in intervals:
        whole.add(interval)
    return intervals, whole


def nearest_rank(log, percent: float) -> float:
    """The nearest rank: HdrHistogram's own method rounds the rank to the nearest instead of up."""
    running = np.cumsum(np.ctypeslib.as_array(log.counts))
    rank = max(1, math.ceil(percent / 100 * log.get_total_count() - 1e-9))
    return log.get_highest_equivalent_value(log.get_value_from_index(int(np.searchsorted(running, rank))))


def test_logs_read_back_give_the_percentiles_of_the_store(run_dir, tmp_path):
    pytest.importorskip("hdrh", reason="hdrhistogram, the extra `hdr`, is not installed here")
    written = export(run_dir, tmp_path / "out", "hdr")
    labels, agreed = pooled(run_dir), 0
    assert len(written) == len(labels)
    for (region, name, failed, which), times in labels.items():
        kind = name.replace("session:", "session.")
        path = tmp_path / "out" / f"{region}.{kind}.{which}{'.failed' if failed else ''}.hlog"
        intervals, whole = read_log(path)
        assert len(intervals) == written[path.name]
        assert whole.get_total_count() == times.count
        for percent in (50.0, 90.0, 95.0, 99.0, 99.9, 100.0):
            assert nearest_rank(whole, percent) == pytest.approx(times.percentile_ns(percent), rel=0.002), path
        assert whole.get_min_value() == pytest.approx(times.min_ns, rel=0.002)
        if times.count % 100 == 0:  # no rounding of ranks: its own method agrees
            assert whole.get_value_at_percentile(99) == pytest.approx(times.percentile_ns(99), rel=0.002)
            agreed += 1
    assert agreed > 10


def test_a_log_dates_its_intervals(run_dir, tmp_path):
    pytest.importorskip("hdrh", reason="hdrhistogram, the extra `hdr`, is not installed here")
    export(run_dir, tmp_path / "out", "hdr")
    path = tmp_path / "out" / "us-east.checkout.response.hlog"
    intervals, _ = read_log(path)
    began = 1_772_360_099.0
    assert [i.get_start_time_stamp() / 1000 for i in intervals] == [began + second for second in range(15)]
    assert [i.get_end_time_stamp() / 1000 for i in intervals] == [began + second + 1 for second in range(15)]
    lines = [line for line in path.read_text().splitlines() if line[0].isdigit()]
    assert [float(line.split(",")[0]) for line in lines] == list(range(15))
    for line, interval in zip(lines, intervals, strict=True):
        assert float(line.split(",")[2]) * 1e6 == pytest.approx(interval.get_max_value(), rel=0.002), "in ms"


def test_names_that_are_no_file_names(tmp_path):
    pytest.importorskip("hdrh", reason="hdrhistogram, the extra `hdr`, is not installed here")
    names = ("../../x", "session:buy", "session.buy", "a b\nc", "session:session:buy")
    times = Histogram.of(np.array([5_000_000], np.int64))
    cells = tuple(TransactionCell("a", "eu.west", name, "ok", "ok", 1, 1, times, times) for name in names)
    with RunWriter(tmp_path / "r") as writer:
        writer.write_manifest(manifest())
        writer.write_frame(Frame(1, 1.0, 1000.0, cells))
    written = export(tmp_path / "r", tmp_path / "out", "hdr")
    assert len(written) == 2 * len(names), "no two share a file"
    assert {path.parent for path in tmp_path.rglob("*.hlog")} == {tmp_path / "out"}
    for path in (tmp_path / "out").glob("*.hlog"):
        assert read_log(path)[1].get_total_count() == 1


def test_a_time_that_a_log_cannot_hold(tmp_path):
    pytest.importorskip("hdrh", reason="hdrhistogram, the extra `hdr`, is not installed here")
    times = Histogram.of(np.array([3 * LONGEST_NS], np.int64))
    with RunWriter(tmp_path / "r") as writer:
        writer.write_manifest(manifest())
        writer.write_frame(
            Frame(1, 1.0, 1000.0, (TransactionCell("a", "us-east", "x", "ok", "ok", 1, 1, times, times),))
        )
    with pytest.raises(UsageError, match="longer than these logs can hold"):
        export(tmp_path / "r", tmp_path / "out", "hdr")
    assert not (tmp_path / "out").exists()


# Partial, old and damaged stores ---------------------------------------------


@pytest.mark.parametrize("form", ["csv", "hdr"])
def test_runs_that_ended_early(tmp_path, form):
    if form == "hdr":
        pytest.importorskip("hdrh", reason="hdrhistogram, the extra `hdr`, is not installed here")
    write_run(tmp_path / "killed", last=3, status=None, findings=(), stock=())
    write_empty(tmp_path / "empty")
    assert sum(export(tmp_path / "killed", tmp_path / "k", form).values()) > 20
    assert json.loads((tmp_path / "k" / "export.json").read_text())["status"] == "killed"
    nothing = export(tmp_path / "empty", tmp_path / "e", form)
    assert sum(nothing.values()) == (1 if form == "csv" else 0), "the version of the format alone"


def test_a_store_of_format_1_has_the_columns_of_today(run_dir, tmp_path):
    write_run(tmp_path / "r", last=2)
    as_format_1(tmp_path / "r" / "run.sqlite")
    export(tmp_path / "r", tmp_path / "out", "csv")
    export(run_dir, tmp_path / "now", "csv")
    for table in TABLES:
        head, *_ = (tmp_path / "out" / f"{table}.csv").read_text().splitlines()
        assert head == (tmp_path / "now" / f"{table}.csv").read_text().splitlines()[0]
    assert rows_of(tmp_path / "out" / "slow.csv")[0]["wait_ms"] == "10.0"
    assert rows_of(tmp_path / "out" / "contenders.csv") == []


def test_a_column_that_a_store_has_not_is_not_known(tmp_path):
    write_run(tmp_path / "r", last=1)
    change(tmp_path / "r", "ALTER TABLE slow DROP COLUMN key")
    export(tmp_path / "r", tmp_path / "out", "csv")
    assert [row["key"] for row in rows_of(tmp_path / "out" / "slow.csv")] == [""]


@pytest.mark.parametrize(
    ("statement", "cause"),
    [
        ("UPDATE transactions SET response = x'00' WHERE rowid = 30", "table transactions: not a histogram"),
        ("UPDATE statements SET time = 'x' WHERE rowid = 5", "table statements: blob expected, found 'x'"),
        ("UPDATE retries SET count = 'many'", "table retries: integer expected, found 'many'"),
        ("DROP TABLE arrivals", "no such table: arrivals"),
    ],
)
def test_a_damaged_store_leaves_nothing(tmp_path, statement, cause):
    write_run(tmp_path / "r", last=12)
    change(tmp_path / "r", statement)
    with pytest.raises(UsageError) as caught:
        export(tmp_path / "r", tmp_path / "out", "csv")
    assert caught.value.cause.startswith(cause)
    assert not (tmp_path / "out").exists()


# The folder ------------------------------------------------------------------


def test_an_error_leaves_a_folder_as_it_was(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")

    def interrupted() -> None:
        with staging(tmp_path / "out", replace=True) as staged:
            (staged.folder / "half.csv").write_text("1,")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]


def test_a_full_disk_is_told(tmp_path):
    with pytest.raises(UsageError, match="cannot write to") as caught, staging(tmp_path / "out", replace=False):
        raise OSError(28, "No space left on device")
    assert caught.value.cause == "no space left on device"
    assert not (tmp_path / "out").exists()


def test_what_a_killed_export_left_is_replaced(run_dir, tmp_path):
    (tmp_path / "out" / ".export.partial").mkdir(parents=True)
    (tmp_path / "out" / ".export.partial" / "half.csv").write_text("1,")
    with pytest.raises(UsageError, match="is not empty"):
        export(run_dir, tmp_path / "out", "csv")
    export(run_dir, tmp_path / "out", "csv", replace=True)
    assert "half.csv" not in {path.name for path in (tmp_path / "out").iterdir()}
    assert not (tmp_path / "out" / ".export.partial").exists()


def test_replacing_removes_the_earlier_export_and_nothing_else(run_dir, tmp_path):
    out = tmp_path / "out"
    export(run_dir, out, "csv")
    (out / "notes.txt").write_text("mine")
    (tmp_path / "outside.txt").write_text("mine")
    index = json.loads((out / "export.json").read_text())
    index["files"] += ["../outside.txt", "gone.csv", "older.hlog", 5, "..", str(tmp_path / "outside.txt")]
    (out / "export.json").write_text(json.dumps(index))
    (out / "older.hlog").write_text("of an earlier run")
    export(run_dir, out, "csv", replace=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert (tmp_path / "outside.txt").exists()
    assert not (out / "older.hlog").exists()


def test_a_folder_with_a_run_in_it_is_never_written_to(run_dir):
    before = {path.name: path.stat().st_mtime_ns for path in run_dir.iterdir()}
    with pytest.raises(UsageError, match="holds a run"):
        export(run_dir, run_dir, "csv", replace=True)
    assert {path.name: path.stat().st_mtime_ns for path in run_dir.iterdir()} == before
