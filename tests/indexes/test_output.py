"""What is printed, written and read again."""

import json
from datetime import date
from pathlib import Path

import pytest
from bench.reports.facts import gather
from bench.reports.indexes import indexes
from bench.reports.model import Figure, Folded, Table, Text

from bench.cli.index_experiment import Outcome
from bench.cli.index_output import document, headline, markdown, ordered, text_lines
from bench.cli.index_place import Place
from bench.db.ddl import load_schema
from bench.errors import UsageError
from bench.results.indexing import INDEXES_NAME, read_indexes_file
from bench.results.read import Run
from tests.indexes.stage import REGION, Stage
from tests.results.synthetic import write_tiny

# Verdicts rest on what statements took: beside other work intervals may be too wide for one, so these may try again.
pytestmark = pytest.mark.flaky(reruns=2)


@pytest.fixture
def outcome(stage: Stage) -> Outcome:
    experiment = stage.experiment(plays=4)
    results = tuple(stage.result(experiment, name) for name in ("things_pkey", "vital", "again", "useless"))
    schema = load_schema("pg", (REGION,), date(2026, 11, 1))
    place = Place({REGION: stage.url}, "postgres", "18.6", schema, {"scale": "small"}, True, True)
    return Outcome(place, None, 4, True, ("1 of 4 statements of the workload were not played: never_sent",), results)


def test_every_form_says_the_same(outcome: Outcome, tmp_path: Path) -> None:
    lines = list(text_lines(outcome))
    assert lines[0] == headline(outcome.results) == "duplicate: again; 1 essential, 0 worth it, 1 can't tell"
    table = [
        line.split()[0] for line in lines if line.split()[:1] and line.split()[0] in ("duplicate", "can't", "essential")
    ]
    assert table == ["duplicate", "can't", "essential"]
    assert any(line.startswith("constraint: 1 indexes") for line in lines)
    assert len(lines) <= 40
    text = markdown(outcome)
    for result in ordered(outcome.results):
        assert f"| `{result.name}` | {result.verdict.word} | {result.verdict.reason} |" in text
    (tmp_path / INDEXES_NAME).write_text(document(outcome))
    read = read_indexes_file(tmp_path)
    assert [(row.name, row.verdict.word) for row in read.indexes] == [
        (result.name, result.verdict.word) for result in ordered(outcome.results)
    ]
    vital = next(row for row in read.indexes if row.name == "vital")
    kept = next(result for result in outcome.results if result.name == "vital")
    assert vital.balance.gain.low == kept.balance.gain.low
    assert vital.statements[0].effect.with_ms == kept.statements[0].effect.with_ms


def test_the_section_of_a_runs_report(outcome: Outcome, tmp_path: Path) -> None:
    write_tiny(tmp_path)
    with Run.open(tmp_path) as run:
        assert indexes(gather(run)) == ()
        (tmp_path / INDEXES_NAME).write_text(document(outcome))
        [section] = indexes(gather(run))
    lead = section.blocks[0]
    assert isinstance(lead, Text)
    assert "again" in lead.text
    [figure] = [block for block in section.blocks if isinstance(block, Figure)]
    # Names and verdicts stand beside the marks: nothing has to be hovered over.
    for label in ("vital: essential", "again: duplicate"):
        assert label in figure.svg
    assert "nan" not in figure.svg.lower()
    [table] = [block for block in section.blocks if isinstance(block, Table)]
    shown = {row[0].text: (row[1].text, row[3].text) for row in table.rows}
    gain = next(r for r in outcome.results if r.name == "vital").balance.gain.estimate
    assert shown["vital"] == ("essential", f"{gain:.2g}")
    assert shown["things_pkey"][0] == "constraint"
    folded = [block.title for block in section.blocks if isinstance(block, Folded)]
    assert "vital: essential" in folded


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda d: d | {"schema_version": 99}, "has format 99"),
        (lambda d: {**d, "indexes": [{"name": "a"}]}, "is not a file of"),
        (lambda d: [d], "is not a file of"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, change, said: str) -> None:
    whole = {"schema_version": 1, "indexes": []}
    (tmp_path / INDEXES_NAME).write_text(json.dumps(change(whole)))
    with pytest.raises(UsageError, match=said):
        read_indexes_file(tmp_path)
