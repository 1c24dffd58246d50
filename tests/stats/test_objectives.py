"""Objectives: what a scenario may write, and whether they hold for a run."""

from dataclasses import replace

import pytest

from bench.errors import UsageError
from bench.results.read import Run
from bench.results.summarise import summarise_run
from bench.scenario.parse import parse_scenario
from bench.stats.objectives import Objective, judge_objectives
from bench.stats.verdict import headline
from tests.results.synthetic import manifest, write_tiny

TOML = """
name = "one"
question = "does it work?"
objectives = [{objectives}]
[workload]
user = "bench.workloads.flash_sale:FlashSaleUser"
[[phases]]
name = "steady"
duration = "10s"
rate = {{ browse = "1/s" }}
"""


def parsed(*sentences):
    return parse_scenario(TOML.format(objectives=", ".join(f'"{text}"' for text in sentences)), "one.toml").objectives


@pytest.mark.parametrize(
    ("text", "transaction", "region", "metric", "limit"),
    [
        ("checkout response p99 < 300ms", "checkout", None, "response_p99_ms", 300.0),
        ("checkout in eu-west service p99.9 < 1.5s", "checkout", "eu-west", "service_p999_ms", 1500.0),
        ("all  commits > 900/min", None, None, "committed_per_s", 15.0),
        ("all in us-east failed < 0.1 %", None, "us-east", "failed_share", 0.001),
        ("buy retries < 0.05", "buy", None, "retries_per_commit", 0.05),
        ("buy response max < 2s", "buy", None, "response_max_ms", 2000.0),
    ],
)
def test_a_sentence_is_an_objective(text, transaction, region, metric, limit):
    (found,) = parsed(text)
    assert (found.transaction, found.region, found.metric) == (transaction, region, metric)
    assert found.limit == pytest.approx(limit)
    assert found.text == " ".join(text.split())


def test_every_fault_is_named_at_once():
    with pytest.raises(UsageError) as caught:
        parsed(
            "checkout is fast",
            "buy response p98 < 1s",
            "buy response p99 > 1s",
            "buy response p99 < 300",
            "all failed < 1",
        )
    lines = caught.value.message.splitlines()
    assert lines[0] == "one.toml has 5 faults"
    for line, words in zip(
        lines[1:],
        ("is not an objective", "did you mean 'response p9", "wants '<', not '>'", "has no unit", "is not a share"),
        strict=True,
    ):
        assert words in line
    with pytest.raises(UsageError) as caught:
        parsed("all in mars failed < 1 %", "all failed < 1 %", "all failed < 1 %")
    assert "objectives[0]: no region 'mars'" in caught.value.message
    assert "'all failed < 1 %' is there twice" in caught.value.message


def test_it_survives_the_manifest():
    scenario = parse_scenario(TOML.format(objectives='"checkout response p99 < 300ms"'), "one.toml")
    stored = manifest(scenario=manifest().scenario | {"objectives": scenario.model_dump(mode="json")["objectives"]})
    assert [each.text for each in stored.objectives] == ["checkout response p99 < 300ms"]


@pytest.fixture
def tiny(tmp_path):
    """Checkouts of 10, 20, 30, 40 and 5 ms in us-east, 170 and 180 in eu-west, in two seconds; two retries."""
    write_tiny(tmp_path / "tiny")
    with Run.open(tmp_path / "tiny") as run:
        return summarise_run(run)


@pytest.mark.parametrize(
    ("metric", "region", "limit", "passed", "text"),
    [
        ("response_p50_ms", "us-east", 20.1, True, "20 ms"),
        ("response_p50_ms", "us-east", 19.9, False, "20 ms"),
        ("response_max_ms", None, 181.0, True, "180 ms"),
        ("service_max_ms", "eu-west", 178.0, False, "178 ms"),
        ("committed_per_s", None, 2.9, True, "3/s"),
        ("committed_per_s", None, 3.1, False, "3/s"),
        ("failed_share", None, 0.01, True, "0 %"),
        ("retries_per_commit", "us-east", 0.4, False, "0.5"),
        ("response_p50_ms", "asia-pac", 1000.0, False, "nothing was recorded"),
    ],
)
def test_it_holds_or_not(tiny, metric, region, limit, passed, text):
    groups = (tiny.total, *tiny.regions, *tiny.transactions, *tiny.region_transactions)
    (row,) = judge_objectives([Objective("it", "checkout", region, metric, limit)], groups)
    assert (row.passed, row.text) == (passed, text)


def test_a_bound_from_below_does_not_show_that_it_holds(tiny):
    group = replace(tiny.total, response=replace(tiny.total.response, p99_ms=100.0, at_least=("p99_ms",)))
    (row,) = judge_objectives([Objective("it", None, None, "response_p99_ms", 200.0)], [group])
    assert (row.passed, row.text) == (False, "≥ 100 ms")


def test_a_missed_objective_heads_the_page(tiny):
    (row,) = judge_objectives([Objective("all response p50 < 1ms", None, None, "response_p50_ms", 1.0)], [tiny.total])
    head = headline(replace(tiny, objectives=(row,), validity=replace(tiny.validity, verdict="VALID")))
    assert (head.level, "OBJECTIVE MISSED" in head.title) == ("bad", True)
    assert f"all response p50 < 1ms: it was {row.text}" in head.reasons
