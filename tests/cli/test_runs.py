"""``bench runs`` on folders of whole, unfinished and damaged runs."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from bench.reports.summary_json import render_json
from click.testing import CliRunner

from bench.cli.runs import command, text_lines
from bench.errors import UsageError
from bench.results import listing
from bench.results.listing import RunLine, run_lines
from bench.results.read import Run
from bench.results.store import RunWriter
from bench.results.summarise import summarise_run
from bench.stats.verdict import headline
from tests.results.synthetic import BROKEN, PASSED, manifest, write_run

Bench = Callable[..., "subprocess.CompletedProcess[str]"]


def dated(folder: Path, minute: int, **changes) -> Path:
    """Give a run a moment and a name of its own."""
    text = manifest(created_utc=f"2026-03-01T10:{minute:02}:00Z", **changes).model_dump_json()
    (folder / "manifest.json").write_text(text)
    return folder


def summarised(folder: Path) -> None:
    """Write summary.json as `bench report` does, without its figures."""
    with Run.open(folder) as run:
        summary = summarise_run(run)
        (folder / "summary.json").write_text(render_json(run.manifest, summary, headline(summary)))


def execute(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "run.sqlite")) as db:
        db.execute(statement)
        db.commit()


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs in order of time: whole with a report, wrong data, interrupted, killed, and five that cannot be read."""
    root = tmp_path_factory.mktemp("store") / "runs"
    write_run(root / "whole", last=30)
    summarised(dated(root / "whole", 1))
    write_run(root / "wrong", last=1, findings=(BROKEN, PASSED))
    dated(root / "wrong", 2, scenario={"name": "steady", "phases": []})
    write_run(root / "stopped", last=1, status="interrupted", findings=())
    dated(root / "stopped", 3)
    write_run(root / "killed", last=1, status=None, findings=())
    dated(root / "killed", 4)
    with RunWriter(root / "no-second") as writer:
        writer.write_manifest(manifest())
    dated(root / "no-second", 5)
    for minute, name in enumerate(("nothing", "newer", "garbage", "no-manifest"), 6):
        write_run(root / name, last=1)
        dated(root / name, minute)
    (root / "nothing" / "run.sqlite").write_bytes(b"")
    execute(root / "newer", "UPDATE meta SET value = '99' WHERE key = 'format_version'")
    (root / "garbage" / "run.sqlite").write_bytes(b"nothing like SQLite" * 100)
    (root / "no-manifest" / "manifest.json").unlink()
    (root / "20260301-101500-contention-bakeoff").mkdir()
    (root / "20260301-101500-contention-bakeoff" / "bakeoff.md").write_text("")
    return root


@pytest.fixture(scope="module")
def lines(runs: Path) -> dict[str, RunLine]:
    return {line.id: line for line in run_lines(runs)}


def test_newest_first_and_what_cannot_be_dated_last(lines: dict[str, RunLine]) -> None:
    assert list(lines) == [
        "garbage", "newer", "nothing", "no-second", "killed", "stopped", "wrong", "whole", "no-manifest"
    ]  # fmt: skip


def test_a_whole_run_has_the_figures_of_its_summary(lines: dict[str, RunLine], runs: Path) -> None:
    line, summary = lines["whole"], json.loads((runs / "whole" / "summary.json").read_text())
    assert (line.scenario, line.target, line.variant, line.strategy) == ("flash-sale", "embedded", "pg", "guarded")
    assert (line.status, line.verdict, line.wrong, line.fault) == ("complete", "VALID", 0, None)
    assert line.offered_per_s == summary["total_arrivals"]["offered_per_s"] is not None
    assert line.answered_per_s == summary["total_arrivals"]["ended_per_s"] is not None
    assert line.p99_response_ms == summary["total"]["response"]["p99_ms"] is not None
    assert line.p99_response_at_least == ("p99_ms" in summary["total"]["response"]["at_least"])
    assert line.retries == summary["total"]["retries"] > 0
    assert line.bytes == sum(path.stat().st_size for path in (runs / "whole").iterdir())


def test_without_a_summary_the_store_says_how_it_ended(lines: dict[str, RunLine]) -> None:
    ended = {name: (line.status, line.verdict, line.wrong, line.p99_response_ms) for name, line in lines.items()}
    assert ended["wrong"] == ("complete", "VALID", 1, None)
    assert ended["stopped"] == ("interrupted", "VALID", None, None)
    assert ended["killed"] == ("killed", None, None, None)


def test_what_is_wrong_with_a_run_is_told(lines: dict[str, RunLine]) -> None:
    faults = {name: line.fault or "" for name, line in lines.items() if line.fault}
    assert list(faults) == ["garbage", "newer", "nothing", "no-second", "no-manifest"]
    assert "file is not a database" in faults["garbage"]
    assert "has format 99, and this version of bench reads up to" in faults["newer"]
    assert "its store is empty" in faults["nothing"]
    assert faults["no-second"] == "it ended before its first second was stored"
    assert faults["no-manifest"].endswith("manifest.json' cannot be read: no such file or directory")


@pytest.fixture
def whole(runs: Path) -> Iterator[Path]:
    folder = runs / "whole"
    text, times = (folder / "summary.json").read_text(), (folder / "summary.json").stat()
    yield folder
    (folder / "summary.json").write_text(text)
    os.utime(folder / "summary.json", ns=(times.st_atime_ns, times.st_mtime_ns))


def figures(folder: Path) -> tuple[float | int | None, ...]:
    line = next(line for line in run_lines(folder.parent) if line.id == folder.name)
    assert (line.status, line.verdict, line.wrong) == ("complete", "VALID", 0)
    return line.offered_per_s, line.answered_per_s, line.p99_response_ms, line.retries


@pytest.mark.parametrize("text", ["", "{", "[]", '{\n  "status": "complete",\n  "total": 5\n}\n', None])
def test_a_summary_that_is_none_gives_no_figures(whole: Path, text: str | None) -> None:
    if text is None:
        text = (whole / "summary.json").read_text().replace('"status": "complete"', '"status": "killed"', 1)
    (whole / "summary.json").write_text(text)
    assert figures(whole) == (None,) * 4


def test_a_summary_of_an_earlier_store_gives_no_figures(whole: Path) -> None:
    assert None not in figures(whole)
    written = (whole / "run.sqlite").stat().st_mtime
    os.utime(whole / "summary.json", (written - 60, written - 60))
    assert figures(whole) == (None,) * 4


def test_what_is_read_of_a_summary_is_in_its_schema() -> None:
    schema = json.loads((Path(__file__).parents[2] / "reports" / "summary.schema.json").read_text())
    assert {"status", "validity", "total", "total_arrivals"} <= set(schema["required"])


def test_no_frame_is_read(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of runs are listed quickly because only small tables are touched."""
    asked: list[str] = []
    connect = listing.connect

    def watched(folder: Path):
        db, copy = connect(folder)
        db.set_trace_callback(asked.append)
        return db, copy

    monkeypatch.setattr(listing, "connect", watched)
    assert len(list(run_lines(runs))) == 9
    assert asked
    for statement in asked:
        assert not any(f"FROM {table}" in statement for table in ("transactions", "statements", "arrivals", "journal"))
        assert "FROM frames" not in statement or "LIMIT 1" in statement


def test_a_run_that_goes_on_is_running(tmp_path: Path) -> None:
    """Its writer is another process: a process's own locks do not stand in its way."""
    script = (
        "import sys; from pathlib import Path; from bench.results.store import RunWriter\n"
        "from tests.results.synthetic import Maker, manifest\n"
        "writer = RunWriter(Path(sys.argv[1])); writer.write_manifest(manifest())\n"
        "writer.write_frame(Maker(rate=2).frame(0)); print('there', flush=True); sys.stdin.read()\n"
    )
    arguments = [sys.executable, "-c", script, str(tmp_path / "r")]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "there\n"
        before = next(run_lines(tmp_path)).status
        writer.kill()
    assert before == "running"
    assert next(run_lines(tmp_path)).status == "killed"


# The command -----------------------------------------------------------------


def printed(*arguments: str | Path) -> str:
    done = CliRunner().invoke(command, [*map(str, arguments)], standalone_mode=False)
    assert done.exception is None, done.exception
    return done.stdout


def test_the_list_as_text(bench: Bench, runs: Path) -> None:
    done = bench("runs", "--out", str(runs), TZ="JST-9", COLUMNS="200")
    assert (done.returncode, done.stderr) == (0, "")
    head, *rows = done.stdout.splitlines()
    assert head.split() == [
        "run", "when", "scenario", "target", "verdict", "offered/s", "answered/s", "p99", "retries", "audit", "size"
    ]  # fmt: skip
    by_name = {row.split()[0]: row for row in rows}
    assert len(rows) == len(by_name) == 9
    assert by_name["whole"].split()[1:6] == ["2026-03-01", "19:01", "flash-sale", "embedded/pg", "VALID"]
    assert " ok " in by_name["whole"]
    assert " 1 wrong " in by_name["wrong"]
    assert " VALID interrupted " in by_name["stopped"]
    assert " killed " in by_name["killed"]
    assert by_name["garbage"].split(maxsplit=1)[1] == "'run.sqlite' cannot be read: file is not a database"
    assert by_name["killed"].split()[6:11] == ["-"] * 5


@pytest.mark.parametrize(
    ("columns", "head"),
    [
        (120, ["run", "target", "verdict", "offered/s", "answered/s", "p99", "retries", "audit", "size"]),
        (63, ["run", "verdict", "answered/s", "p99"]),
        (20, ["run", "verdict", "p99"]),
    ],
)
def test_a_narrow_terminal_gets_fewer_columns(columns: int, head: list[str]) -> None:
    sound = RunLine(
        "20261101-120000-flash-sale-ab12", "runs/x", 13_600_000, "2026-11-01T12:00:00Z", "flash-sale", "embedded", "pg",
        status="complete", verdict="DEGRADED", offered_per_s=1234.5, answered_per_s=1200.1, p99_response_ms=1234.5,
        p99_response_at_least=True, retries=12_345, wrong=0,
    )  # fmt: skip
    damaged = replace(sound, fault="'runs/x/run.sqlite' cannot be read: file is not a database")
    lines = list(text_lines([sound, damaged], columns))
    assert lines[0].split() == head
    assert lines[2] == f"{sound.id}  'run.sqlite' cannot be read: file is not a database"
    assert columns == 20 or max(map(len, lines[:2])) <= columns


def test_filters(runs: Path) -> None:
    names = [row.split()[0] for row in printed("--out", runs, "--scenario", "steady").splitlines()]
    assert names == ["run", "wrong"]
    assert [row.split()[0] for row in printed("--out", runs, "--limit", "2").splitlines()] == [
        "run",
        "garbage",
        "newer",
    ]


def test_the_list_as_json(runs: Path) -> None:
    document = json.loads(printed("--out", runs, "--format", "json"))
    assert document["schema_version"] == 1
    assert len(document["runs"]) == 9
    whole = next(run for run in document["runs"] if run["id"] == "whole")
    assert whole["created_utc"] == "2026-03-01T10:01:00Z"
    assert isinstance(whole["p99_response_ms"], float)
    assert json.loads(printed("--out", runs, "--format", "json", "--scenario", "none"))["runs"] == []


def test_nothing_to_list(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, ["--out", str(tmp_path)])
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", f"'{tmp_path}' holds no run\n")
    missing = CliRunner().invoke(command, ["--out", str(tmp_path / "none")], standalone_mode=False).exception
    assert isinstance(missing, UsageError)
    assert missing.message == f"there is no folder '{tmp_path / 'none'}'"
