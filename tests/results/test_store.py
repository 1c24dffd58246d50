"""The writer: what it refuses, and what a reader gets back from it."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest

from bench.errors import UsageError
from bench.metrics.frame import Frame
from bench.results import store
from bench.results.manifest import Manifest, without_password
from bench.results.read import Run
from bench.results.store import RunWriter
from bench.stats.validity import Validity
from tests.results.synthetic import BROKEN, PASSED, REGIONS, STOCK, Maker, manifest, write_empty, write_run


def write_all(writer, frames):
    for frame in frames:
        writer.write_frame(frame)


def test_refuses_a_folder_that_holds_a_run(tmp_path):
    write_empty(tmp_path / "r")
    with pytest.raises(UsageError, match="holds a run already"):
        RunWriter(tmp_path / "r")


def test_refuses_the_installed_package():
    for name in ("bench", "bench.reports"):
        folder = Path(next(iter(find_spec(name).submodule_search_locations))) / "runs" / "x"
        with pytest.raises(UsageError, match="inside the installed package"):
            RunWriter(folder)
        assert not folder.exists()


def test_unwritable_folder_is_a_usage_error_with_a_hint(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write to '.*file/r'") as caught:
        RunWriter(tmp_path / "file" / "r")
    assert "--out" in caught.value.hint


def test_full_disk_is_a_usage_error_and_leaves_whole_frames(tmp_path):
    maker = Maker()
    with RunWriter(tmp_path / "r") as writer:
        writer.write_manifest(manifest())
        writer.write_frame(maker.frame(0))
        pages = writer._db.execute("PRAGMA page_count").fetchone()[0]
        writer._db.execute(f"PRAGMA max_page_count = {pages}")
        frames = [maker.frame(second) for second in range(1, 20)]
        with pytest.raises(UsageError, match="cannot write to"):
            write_all(writer, frames)
    with Run.open(tmp_path / "r") as run:
        counts = dict(run.rows("SELECT frame, count(*) FROM transactions GROUP BY 1"))
        assert list(counts) == [frame for (frame,) in run.rows("SELECT frame FROM frames")]


def test_a_frame_is_stored_whole_or_not_at_all(tmp_path):
    maker = Maker()
    with RunWriter(tmp_path / "r") as writer:
        writer.write_manifest(manifest())
        writer.write_frame(maker.frame(0))
        broken = maker.frame(1)
        object.__setattr__(broken, "server", {"name": None})  # the last but two of the tables to be written
        with pytest.raises(sqlite3.IntegrityError):
            writer.write_frame(broken)
        writer.write_frame(maker.frame(2))
    with Run.open(tmp_path / "r") as run:
        assert [row[0] for row in run.rows("SELECT frame FROM frames")] == [0, 2]
        assert [row[0] for row in run.rows("SELECT DISTINCT frame FROM transactions")] == [0, 2]


def test_everything_written_is_read_back(tmp_path):
    maker = Maker()
    frames = [maker.frame(second) for second in (10, 11)]
    with RunWriter(tmp_path / "r") as writer:
        writer.write_manifest(manifest())
        for frame in frames:
            writer.write_frame(frame)
        writer.write_stock(STOCK[:1])
        writer.write_stock(STOCK)
        writer.write_findings([PASSED, BROKEN])
        writer.finish("interrupted", "by the user", Validity("DEGRADED", ("late",)))
    with Run.open(tmp_path / "r") as run:
        assert run.manifest == manifest()
        assert run.stock == STOCK
        assert run.findings == (PASSED, BROKEN)
        assert (run.status, run.detail) == ("interrupted", "by the user")
        assert run.validity == Validity("DEGRADED", ("late",))
        assert run.wins == dict.fromkeys(REGIONS, (2, 2))  # p-1 is on sale, p-2 is not
        assert tuple(run.journal()) == frames[0].journal + frames[1].journal
        assert run.events == frames[0].events + frames[1].events
        assert run.slow() == tuple(sorted(frames[0].slow + frames[1].slow, key=lambda s: -s.response_ms))
        assert run.generator == tuple((frame.elapsed_s, frame.generator) for frame in frames)
        assert run.server["xact_commit"] == ((11.0, 2600.0), (12.0, 2760.0))
        assert run.last_s == 12.0


def test_a_finished_store_is_one_file(tmp_path):
    write_run(tmp_path / "r", last=3)
    assert sorted(path.name for path in (tmp_path / "r").iterdir()) == ["manifest.json", "run.sqlite"]
    header = (tmp_path / "r" / "run.sqlite").read_bytes()[:20]
    assert header[18:] == b"\x01\x01"  # a rollback journal: readable where no log can be created


def test_a_reader_looks_on_while_the_run_is_written(tmp_path):
    maker = Maker()
    with RunWriter(tmp_path / "r") as writer:
        writer.write_manifest(manifest())
        writer.write_frame(maker.frame(0))
        with Run.open(tmp_path / "r") as run:
            assert run.last_s == 1.0
            writer.write_frame(maker.frame(1))
            writer.finish("complete", "", None)
            writer.close()
    with Run.open(tmp_path / "r") as run:
        assert run.last_s == 2.0
        assert run.status == "complete"


def test_the_manifest_is_never_half_written(tmp_path, monkeypatch):
    with RunWriter(tmp_path / "r") as writer:
        writer.write_manifest(manifest())

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(store.os, "fsync", full)
        with pytest.raises(UsageError, match="cannot write to") as caught:
            writer.write_manifest(manifest(run_id="other"))
        assert caught.value.cause == "no space left on device"
    with Run.open(tmp_path / "r") as run:
        assert run.manifest.run_id == manifest().run_id
    assert not list((tmp_path / "r").glob(".*"))


def test_no_password_reaches_the_disk(tmp_path):
    target = manifest().target.model_dump() | {
        "gateways": {"us-east": "postgresql://shop:topsecret@a/shop", "us-west": "host=b password='top secret'"}
    }
    secret = manifest(target=target, command="bench run x --url postgresql://shop:topsecret@db/shop")
    with RunWriter(tmp_path / "r") as writer:
        writer.write_manifest(secret)
    text = (tmp_path / "r" / "manifest.json").read_text()
    assert "topsecret" not in text
    assert "top secret" not in text
    assert "postgresql://shop@db/shop" in text
    assert without_password("postgresql://db/shop") == "postgresql://db/shop"


def test_the_manifest_survives_a_round_trip():
    assert Manifest.model_validate_json(manifest().model_dump_json()) == manifest()


@pytest.mark.parametrize("scenario", [{"phases": [{"name": "x"}]}, {"phases": 3}, {"t0_s": "soon"}])
def test_a_malformed_scenario_is_refused_before_the_run(scenario):
    with pytest.raises(ValueError):
        manifest(scenario=scenario)


def test_an_empty_frame_is_fine(tmp_path):
    with RunWriter(tmp_path / "r") as writer:
        writer.write_manifest(manifest())
        writer.write_frame(Frame(0, 1.0, 1.0))
    with Run.open(tmp_path / "r") as run:
        assert run.cells == ()
        assert run.status == "killed"


def test_frames_may_be_written_by_another_thread(tmp_path):
    maker = Maker()
    with RunWriter(tmp_path / "r") as writer, ThreadPoolExecutor(1) as pool:
        writer.write_manifest(manifest())
        pool.submit(writer.write_frame, maker.frame(0)).result()
        writer.write_frame(maker.frame(1))
    with Run.open(tmp_path / "r") as run:
        assert run.last_s == 2.0
