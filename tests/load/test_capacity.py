"""``bench capacity`` on the embedded server, with the real engine and a small budget: structure, not figures."""

import json
import re

import pytest
from bench.reports.capacity import load_schema
from jsonschema import validate

from bench.errors import ExitCode
from bench.results.read import Run

BUDGET = ("--max-time", "60s", "--probe", "6s", "--warm-up", "2s", "--scale", "tiny")


@pytest.mark.slow
def test_a_search_within_a_budget_leaves_probes_and_an_answer(bench, tmp_path):
    done = bench(
        "capacity", "checkout", "--p99", "5s", "--start", "3/s", "--regions", "us-east,eu-west", "--orders", "30/min",
        *BUDGET, timeout=240,
    )  # fmt: skip
    assert done.returncode in (ExitCode.OK, ExitCode.OBJECTIVE_FAILED, ExitCode.NOT_VALID), done.stderr
    [folder] = (tmp_path / "runs").glob("*-checkout-*-capacity")
    found = json.loads((folder / "capacity.json").read_text())
    validate(found, load_schema())
    assert len(found["probes"]) >= 2
    assert found["made"]["regions"] == ["us-east", "eu-west"]
    for number, probe in enumerate(found["probes"], 1):
        with Run.open(tmp_path / "runs" / probe["run_id"]) as run:
            assert run.status in ("complete", "interrupted")
            assert [phase.name for phase in run.manifest.phases] == ["warm-up", "probe"]
            assert f"probe-{number:02d}.toml" in run.manifest.command
        assert (tmp_path / "runs" / probe["run_id"] / "report.html").exists()
        assert probe["offered_per_s"] == pytest.approx(probe["rate"], rel=0.8)
        assert [row["region"] for row in probe["regions"]] == [None, "us-east", "eu-west"]
    assert found["answer"] in done.stdout.replace("\n", " ")
    text = (folder / "capacity.md").read_text()
    assert not re.search(r"\b(None|nan)\b", text)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("checkout", "--p99", "1s", "--p95", "1s"), "two objectives"),
        (("checkout", "--p99", "nonsense"), "not a duration"),
        (("no-such", "--p99", "1s"), "no scenario named"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_the_first_probe(bench, tmp_path, arguments, said):
    done = bench("capacity", *arguments)
    assert done.returncode == ExitCode.USAGE
    assert said in done.stderr
    assert not list(tmp_path.glob("runs/*"))
