"""Markdown, JSON and the terminal: golden texts of a run that can be worked out by hand, and the JSON Schema."""

import io
import json
import os
from pathlib import Path

import jsonschema
import pytest
from bench.reports.summary_json import SCHEMA_VERSION, load_schema
from bench.reports.write import write_reports
from rich.console import Console

from bench.cli.summary import render_summary, summary_text
from bench.results.read import Run
from bench.results.summarise import summarise_run
from tests.results.synthetic import BROKEN, PASSED, STOCK, write_empty, write_run, write_tiny

GOLDEN = Path(__file__).parent / "golden"
UPDATE = "UPDATE_GOLDEN" in os.environ


def check_golden(name, text):
    """Compare with tests/reports/golden; run with UPDATE_GOLDEN=1 to accept a change, and read the difference."""
    path = GOLDEN / name
    if UPDATE:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("runs") / "tiny"
    write_tiny(path)
    write_reports(path)
    return path


def summary_of(path):
    with Run.open(path) as run:
        return summarise_run(run)


def test_markdown_golden(tiny):
    check_golden("report.md", (tiny / "report.md").read_text(encoding="utf-8"))


def test_terminal_golden(tiny):
    check_golden("summary.txt", summary_text(summary_of(tiny), [Path("runs/tiny/report.html")]))


def test_markdown_tables_are_whole(tiny):
    lines = (tiny / "report.md").read_text(encoding="utf-8").splitlines()
    tables = [line.replace("\\|", "") for line in lines if line.startswith("|")]
    assert len(tables) > 40
    width = 0
    for before, line in zip(["", *lines], lines):
        if line.startswith("|"):
            columns = line.replace("\\|", "").count("|")
            width = width if before.startswith("|") else columns
            assert columns == width, line


def valid(document):
    jsonschema.validate(document, load_schema(), cls=jsonschema.Draft202012Validator)


def test_the_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(load_schema())
    assert load_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"


@pytest.mark.slow
def test_json_of_every_kind_of_run_fits_the_schema(tmp_path, tiny):
    write_run(tmp_path / "whole", findings=(PASSED, BROKEN), dropped=2)
    write_run(tmp_path / "killed", last=12, status=None, findings=(), stock=())
    write_empty(tmp_path / "empty")
    for path in (tmp_path / "whole", tmp_path / "killed", tmp_path / "empty"):
        write_reports(path)
    for path in (tiny, tmp_path / "whole", tmp_path / "killed", tmp_path / "empty"):
        valid(json.loads((path / "summary.json").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    "damage",
    [
        lambda d: d.pop("total"),
        lambda d: d.update(extra=1),
        lambda d: d["total"]["response"].update(p99_ms="3"),
        lambda d: d.update(schema_version=SCHEMA_VERSION + 1),
        lambda d: d["validity"].update(verdict="FINE"),
        lambda d: d["stock"][0].update(oversold=-1),
    ],
)
def test_the_schema_refuses_what_is_wrong(tiny, damage):
    document = json.loads((tiny / "summary.json").read_text(encoding="utf-8"))
    valid(document)
    damage(document)
    with pytest.raises(jsonschema.ValidationError):
        valid(document)


def test_json_numbers(tiny):
    document = json.loads((tiny / "summary.json").read_text(encoding="utf-8"))
    total = document["total"]
    assert (total["committed"], total["business"], total["retries"]) == (6, 1, 2)
    assert (total["committed_per_s"], total["attempts_per_commit"]) == (3.0, pytest.approx(8 / 6))
    assert (total["response"]["max_ms"], document["total_arrivals"]["offered_per_s"]) == (180.0, 1.0)
    assert document["aborts"][0]["wasted_ms"] == 30.0
    assert document["headline"]["title"] == "DATA WRONG"
    assert "topsecret" not in json.dumps(document)


@pytest.mark.parametrize("findings", [(), (PASSED, BROKEN)])
@pytest.mark.parametrize("rows", [1, 40])
def test_the_terminal_summary_keeps_its_size(tmp_path, rows, findings):
    stock = tuple(STOCK[number % 4] for number in range(rows))
    write_run(tmp_path / "r", stock=stock, findings=findings, dropped=4, stall_ms=400.0)
    paths = [Path(f"runs/x/{name}") for name in ("report.html", "report.md", "summary.json")]
    text = summary_text(summary_of(tmp_path / "r"), paths)
    lines = text.splitlines()
    assert len(lines) <= 25
    assert max(map(len, lines)) <= 100
    assert lines[0] == ("INVALID · DATA WRONG" if findings else "INVALID")
    assert lines[-3:] == [str(path) for path in paths]
    assert ("all 40 rows" in text) == (rows == 40)
    assert not any(line != line.rstrip() for line in lines)
    assert not set(text) & set("│┃─━┌╭|")


def test_the_terminal_summary_of_an_empty_run(tmp_path):
    write_empty(tmp_path / "r")
    text = summary_text(summary_of(tmp_path / "r"))
    assert text.startswith("KILLED · NOTHING MEASURED\n")
    assert "audit: did not run" in text
    assert "None" not in text


def test_a_pipe_gets_the_plain_text(tiny, monkeypatch):
    # Some services that run tests ask for colour everywhere.
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    summary = summary_of(tiny)
    stream = io.StringIO()
    Console(file=stream, width=80).print(render_summary(summary), soft_wrap=True)
    assert stream.getvalue() == summary_text(summary)
    colour = io.StringIO()
    Console(file=colour, width=200, force_terminal=True, color_system="standard").print(render_summary(summary))
    assert "\x1b[" in colour.getvalue()
