"""``bench export`` as a user types it."""

import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bench.cli.export import command
from bench.errors import BenchError
from tests.results.synthetic import write_run

Bench = Callable[..., "subprocess.CompletedProcess[str]"]


# The command itself, not the group: click keeps the help option of the first context that a command was used in.
def refused(*arguments: str | Path) -> list[str]:
    """What the command says when it refuses: the message, then cause and hint where it has them; always exit code 2."""
    error = CliRunner().invoke(command, [str(part) for part in arguments], standalone_mode=False).exception
    if isinstance(error, click.ClickException):
        assert error.exit_code == 2
        return [error.format_message()]
    assert isinstance(error, BenchError), repr(error)
    assert error.exit_code == 2
    return [line for line in (error.message, error.cause, error.hint) if line]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    write_run(tmp_path / "runs" / "20260301-aa", last=1)
    return tmp_path / "runs"


def test_a_run_as_csv(bench: Bench, tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "20260301-aa", last=2, status=None)
    done = bench("export", "last", "--out", "out")
    assert (done.returncode, done.stderr) == (0, "the run has not ended, or was killed: 2 s of it are there\n")
    assert done.stdout.startswith("out: 19 files, ")
    assert (tmp_path / "out" / "transactions.csv").read_text().startswith("frame,phase,region,name,outcome,kind,count,")


def test_runs_that_cannot_be_exported(runs: Path, tmp_path: Path) -> None:
    out = ("--runs", runs, "--out", tmp_path / "out")
    assert refused("20260301-ab", *out) == [
        f"no run '20260301-ab' in '{runs}'",
        "did you mean '20260301-aa'?; 'last' is short for the newest",
    ]
    store = runs / "20260301-aa" / "run.sqlite"
    with sqlite3.connect(store) as db:
        db.execute("UPDATE meta SET value = '99' WHERE key = 'format_version'")
    db.close()
    newer = refused("last", *out)
    assert newer[0].startswith(f"'{store}' has format 99, and this version of bench reads up to")
    assert newer[1] == "install a newer shopbench (manifest.json names the version that wrote it)"
    store.write_bytes(b"nothing like SQLite" * 100)
    assert refused("last", *out) == [
        f"'{store}' cannot be read",
        "file is not a database",
        "the store is damaged: choose another run",
    ]
    store.write_bytes(b"")
    assert refused("last", *out) == [f"the run in '{store.parent}' was killed before it began: its store is empty"]
    assert not (tmp_path / "out").exists()


def test_a_format_that_there_is_not(runs: Path) -> None:
    assert refused("last", "--out", "x", "--format", "xls") == [
        "Invalid value for '--format': 'xls' is not one of 'csv', 'parquet', 'hdr'."
    ]


@pytest.mark.parametrize(("form", "package"), [("parquet", "pyarrow"), ("hdr", "hdrhistogram")])
def test_an_extra_that_is_not_installed(form: str, package: str, runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.results.export.find_spec", lambda name: None)
    assert refused("last", "--runs", runs, "--out", runs / "x", "--format", form) == [
        f"--format {form} needs the package '{package}', which is not installed",
        f"install it with: pip install {package}",
    ]
    assert not (runs / "x").exists()


def test_folders_that_cannot_take_it(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    export = ("last", "--runs", runs, "--out")
    assert refused(*export, tmp_path / "full") == [
        f"'{tmp_path / 'full'}' is not empty",
        "name another folder with --out, or pass --yes to replace an export in it",
    ]
    assert refused(*export, tmp_path / "full" / "mine.txt")[0].startswith("cannot write to '")
    assert refused(*export, runs / "20260301-aa", "--yes") == [
        f"'{runs / '20260301-aa'}' holds a run",
        "name another folder with --out",
    ]
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
    done = CliRunner().invoke(command, [*map(str, export), str(tmp_path / "full"), "--yes"])
    assert done.exit_code == 0
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"
    assert (tmp_path / "full" / "export.json").exists()
