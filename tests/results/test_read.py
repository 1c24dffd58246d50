"""The reader: merged figures equal the raw samples, and every kind of damage is a clear error."""

import json
import math
import shutil
import sqlite3
from dataclasses import replace

import numpy as np
import pytest

from bench.errors import UsageError
from bench.metrics.frame import Frame, TransactionCell
from bench.metrics.histogram import Histogram
from bench.results.files import connect, list_runs
from bench.results.read import Run, find_run
from bench.results.rows import frame_rows
from bench.results.store import RunWriter
from bench.results.summarise import summarise_run
from bench.results.timeline import read_timeline
from bench.results.versions import STORE_VERSION
from tests.results.synthetic import (
    LAST,
    REGIONS,
    Maker,
    as_format_1,
    as_format_2,
    manifest,
    survival_percentile,
    write_empty,
    write_run,
)


@pytest.fixture(scope="module")
def sale(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "sale"
    return path, write_run(path)


def nearest_rank(values, percent):
    ordered = sorted(values)
    return ordered[max(1, math.ceil(percent / 100 * len(ordered))) - 1] / 1e6


def test_merged_percentiles_equal_those_of_the_pooled_samples(sale):
    path, raw = sale
    with Run.open(path) as run:
        merged = run.transactions(by=("phase", "region", "name", "outcome"))
        assert set(merged) == set(raw.response)
        for key, group in merged.items():
            for pool, histogram in ((raw.response[key], group.response), (raw.service[key], group.service)):
                assert histogram.count == len(pool)
                for percent in (1, 50, 90, 95, 99, 99.9, 100):
                    assert histogram.percentile_ms(percent) == pytest.approx(nearest_rank(pool, percent), rel=0.001)
            assert group.attempts == raw.attempts[key]


def test_merging_by_fewer_labels_pools_all_the_rest(sale):
    path, raw = sale
    with Run.open(path) as run:
        merged = run.transactions(by=("region",))
        assert list(merged) == [(region,) for region in sorted(REGIONS)]
        pool = [v for key, values in raw.response.items() if key[1] == "eu-west" for v in values]
        assert merged["eu-west",].count == len(pool)
        assert merged["eu-west",].response.percentile_ms(99) == pytest.approx(nearest_rank(pool, 99), rel=0.001)


def test_arrivals_and_aborts_add_up(sale):
    path, raw = sale
    with Run.open(path) as run:
        assert {(c.phase, c.region): c.offered for c in run.arrivals} == dict(raw.offered)
        assert {(c.phase, c.region, c.reason): c.count for c in run.retries} == dict(raw.aborts)
        assert all(c.wasted_ns == c.count * 21_000_000 for c in run.retries)


def test_the_timeline_adds_up_to_the_totals(sale):
    path, raw = sale
    with Run.open(path) as run:
        for bin_s in (1, 7):
            timeline = read_timeline(run, bin_s)
            assert len(timeline.ends_s) == math.ceil(LAST / bin_s)
            seconds = [min(bin_s, LAST - start) for start in range(0, LAST, bin_s)]
            everywhere = timeline.series[None]
            assert (everywhere.offered * seconds).sum() == pytest.approx(sum(raw.offered.values()))
            assert (everywhere.retries * seconds).sum() == pytest.approx(sum(raw.aborts.values()))
            committed = sum(len(v) for key, v in raw.response.items() if key[3] == "ok" and ":" not in key[2])
            assert (everywhere.committed * seconds).sum() == pytest.approx(committed)
            parts = sum(timeline.series[region].committed for region in REGIONS)
            assert parts == pytest.approx(everywhere.committed)


def test_one_bin_holds_the_percentiles_of_the_whole_run(sale):
    path, raw = sale
    with Run.open(path) as run:
        pools = [
            [
                v
                for k, values in raw.response.items()
                if ":" not in k[2] and (k[3] == "retries exhausted") == given_up
                for v in values
            ]
            for given_up in (False, True)
        ]
        timeline = read_timeline(run, LAST)
        assert timeline.series[None].p99_ms[0] == pytest.approx(survival_percentile(*pools, 99) / 1e6, rel=0.001)
        assert timeline.series[None].p50_ms[0] == pytest.approx(survival_percentile(*pools, 50) / 1e6, rel=0.001)


def test_late_short_and_long_frames_fall_into_the_right_bins(tmp_path):
    session = TransactionCell("ramp", "us-east", "browse", "ok", "ok", 10, 10, Histogram.empty(), Histogram.empty())
    ends = (1.003, 2.001, 5.002, 6.0, 7.004, 7.02)  # the loop stood still for 3 s; the last frame is of 16 ms
    with RunWriter(tmp_path / "r") as writer:
        writer.write_manifest(manifest())
        for number, end in enumerate(ends):
            writer.write_frame(Frame(number, end, 0.0, transactions=(session,)))
    with Run.open(tmp_path / "r") as run:
        committed = read_timeline(run).series[None].committed
    assert len(committed) == 7
    assert committed[[0, 1, 5]] == pytest.approx([10, 10, 10], rel=0.01)
    assert np.isnan(committed[[2, 4]]).all()
    assert committed[3] == pytest.approx(10 / 3, rel=0.01)
    assert committed[6] == pytest.approx(20 / 1.02, rel=0.01)


def test_what_is_answered_after_the_measured_time_is_drained(tmp_path):
    """Twenty sessions a second of a measured phase: ten seconds within it, three after; warm-up's own do not count."""
    session = TransactionCell(
        "ramp", "us-east", "session:buy", "ok", "ok", 20, 20, Histogram.empty(), Histogram.empty()
    )
    phases = [
        {"name": "warm-up", "start_s": 0, "duration_s": 2, "measured": False},
        {"name": "ramp", "start_s": 2, "duration_s": 10, "measured": True},
        {"name": "cool-down", "start_s": 12, "duration_s": 2, "measured": False},
    ]
    with RunWriter(tmp_path / "r") as writer:
        writer.write_manifest(manifest(scenario={"name": "x", "phases": phases}))
        for second in range(15):
            mine = replace(session, phase="warm-up") if second < 2 else session
            writer.write_frame(Frame(second, second + 1.002, 0.0, transactions=(mine,)))
        writer.finish("complete", "", None)
    with Run.open(tmp_path / "r") as run:
        arrivals = summarise_run(run).total_arrivals
    assert (arrivals.ended, arrivals.drained, arrivals.ended_per_s) == (260, 60, 20.0)


def test_an_empty_run_reads_as_killed(tmp_path):
    write_empty(tmp_path / "r")
    with Run.open(tmp_path / "r") as run:
        assert (run.status, run.cells, run.arrivals, run.last_s) == ("killed", (), (), 0.0)
        assert len(read_timeline(run).ends_s) == 0


def test_arrivals_after_an_interruption_do_not_count(tmp_path):
    write_run(tmp_path / "r", last=20, status="interrupted")
    db = sqlite3.connect(tmp_path / "r" / "run.sqlite")
    db.execute("INSERT INTO events VALUES (14, 15.0, 'interrupted', 'by the user', NULL)")
    db.execute("UPDATE arrivals SET dropped = offered WHERE frame >= 15")
    db.commit()
    db.close()
    with Run.open(tmp_path / "r") as run:
        assert run.end_s == 15.0
        assert sum(cell.dropped for cell in run.arrivals) == 0
        of_frame = "SELECT frame, sum(offered) FROM arrivals GROUP BY 1"
        until = sum(offered for frame, offered in run.rows(of_frame) if frame <= 15)  # it was interrupted in this one
        assert sum(cell.offered for cell in run.arrivals) == until
        assert run.evidence().dropped_share == 0


def test_newer_formats_name_both_versions(tmp_path):
    write_run(tmp_path / "r", last=2)
    db = sqlite3.connect(tmp_path / "r" / "run.sqlite")
    db.execute("UPDATE meta SET value = ? WHERE key = 'format_version'", (str(STORE_VERSION + 1),))
    db.commit()
    db.close()
    with pytest.raises(
        UsageError, match=rf"run\.sqlite' has format {STORE_VERSION + 1}, .* reads up to {STORE_VERSION}"
    ):
        Run.open(tmp_path / "r")


def test_a_store_of_format_1_is_read(tmp_path):
    write_run(tmp_path / "new", last=12)
    write_run(tmp_path / "old", last=12)
    as_format_1(tmp_path / "old" / "run.sqlite")
    with Run.open(tmp_path / "new") as new, Run.open(tmp_path / "old") as old:
        assert old.retries == tuple(replace(cell, key="") for cell in new.retries)
        assert old.generator == new.generator
        assert old.stock == tuple(replace(row, sku="") for row in new.stock)
        assert [sample.response_ms for sample in old.slow()] == [sample.response_ms for sample in new.slow()]
        assert {sample.wait_ms for sample in old.slow(1)} == {sample.response_ms - 390.0 for sample in old.slow(1)}
        assert (old.contenders, old.counters, old.checks, old.workers) == ((), (), (), ())
        before, after = summarise_run(old), summarise_run(new)
        assert before.total == after.total
        assert before.validity == after.validity


def times(cells):
    return {
        (cell.phase, cell.region, cell.transaction, cell.statement): (
            cell.count,
            cell.errors,
            cell.time.sum_ns,
            cell.time.indices.tolist(),
            cell.time.counts.tolist(),
        )
        for cell in cells
    }


def any_frame(maker, second):
    return replace(maker.frame(second % LAST), number=second, elapsed_s=second + 1.0)


def late_statements(maker):
    return [rows for rows in frame_rows(maker.frame(3)) if rows[0] == "statements"]


@pytest.mark.parametrize("is_finished", [False, True])
@pytest.mark.parametrize("last", [9, 10, 11, 35])
def test_sums_of_statements_are_their_rows(tmp_path, monkeypatch, last, is_finished):
    monkeypatch.setattr("bench.results.sums.FRAMES", 10)
    maker = Maker()
    with RunWriter(tmp_path / "r") as writer:
        writer.write_manifest(manifest())
        for second in range(last):
            writer.write_frame(any_frame(maker, second))
            if second in (12, 34):  # a worker's part of a frame that is in a sum already
                writer.write_more(5, late_statements(maker))
        if is_finished:
            writer.finish("complete", "", None)
    shutil.copytree(tmp_path / "r", tmp_path / "old")
    as_format_2(tmp_path / "old" / "run.sqlite")
    with Run.open(tmp_path / "r") as run, Run.open(tmp_path / "old") as old:
        ((sums, read),) = run.rows(
            "SELECT count(*), (SELECT count(*) FROM statements WHERE rowid > max(until_rowid)) FROM statement_sums"
        )
        assert (sums > 0) == (last >= 10)
        if last >= 10:
            assert (read == 0) == (is_finished or last == 10)
        assert times(run.statements) == times(old.statements)
        assert times(run.attempts) == times(old.attempts)
        assert len(run.statements) > 10


def test_a_frame_that_was_not_stored_is_in_no_sum(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.results.sums.FRAMES", 20)
    maker = Maker()
    with RunWriter(tmp_path / "r") as writer:
        writer.write_manifest(manifest())
        for second in range(80):
            if second == 30:
                with pytest.raises(sqlite3.IntegrityError):
                    writer.write_rows(30, 31.0, 0.0, [*late_statements(maker), ("retries", [(None,) * 8])])
            writer.write_frame(any_frame(maker, second))
    shutil.copytree(tmp_path / "r", tmp_path / "old")
    as_format_2(tmp_path / "old" / "run.sqlite")
    with Run.open(tmp_path / "r") as run, Run.open(tmp_path / "old") as old:
        assert times(run.statements) == times(old.statements)


def test_newer_manifest_names_both_versions(tmp_path):
    write_run(tmp_path / "r", last=2)
    path = tmp_path / "r" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema_version": 9, "regions": "changed"}))
    with pytest.raises(UsageError, match=r"manifest\.json' has format 9, .* reads up to 1"):
        Run.open(tmp_path / "r")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"schema_version": 1}', '{"schema_version": "one"}'])
def test_a_damaged_manifest_is_a_usage_error(tmp_path, text):
    write_run(tmp_path / "r", last=2)
    (tmp_path / "r" / "manifest.json").write_text(text)
    with pytest.raises(UsageError, match="manifest"):
        Run.open(tmp_path / "r")


def test_a_missing_manifest_or_store_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="holds no run"):
        Run.open(tmp_path)
    write_run(tmp_path / "r", last=2)
    (tmp_path / "r" / "manifest.json").unlink()
    with pytest.raises(UsageError, match="cannot be read"):
        Run.open(tmp_path / "r")


@pytest.mark.parametrize(
    "content", [b"not a database, but long enough to look like one" * 100, b"", b"SQLite format 3\0"]
)
def test_a_corrupt_store_is_a_usage_error(tmp_path, content):
    write_run(tmp_path / "r", last=2)
    (tmp_path / "r" / "run.sqlite").write_bytes(content)
    with pytest.raises(UsageError):
        Run.open(tmp_path / "r")


def test_a_store_damaged_in_the_middle_is_a_usage_error(tmp_path):
    write_run(tmp_path / "r", last=20)
    store = tmp_path / "r" / "run.sqlite"
    data = bytearray(store.read_bytes())
    data[8192 : len(data) - 4096] = b"\xff" * (len(data) - 12288)
    store.write_bytes(data)

    def read_all():
        with Run.open(tmp_path / "r") as run:
            return run.cells, run.arrivals, run.statements

    with pytest.raises(UsageError, match=r"damaged|cannot be read"):
        read_all()


def test_a_store_that_may_not_be_locked_is_read_from_a_copy(tmp_path, monkeypatch):
    write_run(tmp_path / "r", last=3)
    real = sqlite3.connect
    calls = []

    def refuse_first(*args, **kwargs):
        calls.append(args)
        if len(calls) == 1:
            raise sqlite3.OperationalError("unable to open database file")
        return real(*args, **kwargs)

    monkeypatch.setattr(sqlite3, "connect", refuse_first)
    db, copy = connect(tmp_path / "r")
    assert copy is not None
    assert db.execute("SELECT count(*) FROM frames").fetchone() == (3,)
    db.close()
    copy.cleanup()


def test_reading_changes_nothing(tmp_path):
    write_run(tmp_path / "r", last=3)
    before = {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir()}
    with Run.open(tmp_path / "r") as run:
        assert run.cells
    assert {path.name: path.read_bytes() for path in (tmp_path / "r").iterdir()} == before


@pytest.fixture
def runs(tmp_path):
    write_empty(tmp_path / "20260301-flash-sale")
    for name, day in (("20260302-flash-sale", 2), ("20260302-soak", 4), ("a-first", 1)):
        shutil.copytree(tmp_path / "20260301-flash-sale", tmp_path / name)
        text = manifest(created_utc=f"2026-03-0{day}T10:00:00Z").model_dump_json()
        (tmp_path / name / "manifest.json").write_text(text)
    (tmp_path / "not-a-run").mkdir()
    return tmp_path


def test_find_run_by_id_prefix_path_and_last(runs):
    assert find_run(runs, "last").name == "20260302-soak"
    assert find_run(runs, "20260302-soak").name == "20260302-soak"
    assert find_run(runs, "20260302-f").name == "20260302-flash-sale"
    assert find_run(runs / "elsewhere", str(runs / "a-first")).name == "a-first"
    assert len(list_runs(runs)) == 4


def test_find_run_says_what_is_nearest(runs):
    with pytest.raises(UsageError, match="no run '20260302-flash-sail'") as caught:
        find_run(runs, "20260302-flash-sail")
    assert "did you mean '20260302-flash-sale'?" in caught.value.hint
    with pytest.raises(UsageError, match="begins the names of 2 runs"):
        find_run(runs, "20260302")
    with pytest.raises(UsageError, match="no run"):
        find_run(runs, "")
    with pytest.raises(UsageError, match="there is no folder"):
        find_run(runs / "nowhere", "last")
    with pytest.raises(UsageError, match="holds no runs"):
        find_run(runs / "not-a-run", "last")
