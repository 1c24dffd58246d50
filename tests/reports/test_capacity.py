"""The page of a capacity: the answer first, its figures from the probes, and nothing invented where some is missing."""

import json
import re
from dataclasses import replace

import jsonschema
import pytest
from bench.reports.capacity import WRITTEN, capacity_document, load_schema, write_capacity

from bench.stats.capacity import Capacity, Made, Probe, Question, RegionResult, answer
from bench.stats.knee import Trial
from bench.stats.limits import Signs
from bench.stats.littles_law import LittleRow
from bench.stats.probing import Objective

REGIONS = {"us-east": 0.75, "eu-west": 0.25}
MADE = Made(
    "20261101-checkout-ab12-capacity", "checkout", "How fast?", "2026-11-01T00:00:00+00:00", "bench capacity checkout",
    "0.1.0", "embedded postgres 18.6, pg", tuple(REGIONS), {"eu-west": 86.0}, 2, 5.0, 30, 300.0, is_fresh=True,
)  # fmt: skip


def probe(number: int, rate: float, share: float, verdict: str, **more: object) -> Probe:
    over = round(4000 * share)
    rows = tuple(
        RegionResult(
            region, "held" if verdict == "generator" else verdict, "because", share, 5.0, 90.0 + rate, rate * 7,
            Trial(rate, 4000, over, 2.0),
        )
        for region in (None, *REGIONS)
    )  # fmt: skip
    signs = Signs(
        server_cpu=rate / 100, machine_cpu=rate / 90, cores=2, users=20, service_ms=50.0, waits={"Running": 60.0}
    )
    made = Probe(
        number, "search", f"run-{number}", rate, verdict, 30, rate, rate, rate * 0.05, round(rate * 15), round(rate * 30),
        "VALID", LittleRow(2.0, 2.04, 0.1), signs, rows, ended_early=False,
    )  # fmt: skip
    return replace(made, **more)


LADDER = [
    *(probe(number, rate, share, verdict) for number, (rate, share, verdict) in enumerate(
        [(20, 0.0, "held"), (40, 0.0, "held"), (80, 0.001, "held"), (100, 0.05, "broke"), (85, 0.004, "held"),
         (92, 0.02, "broke"), (87, 0.007, "unclear")], 1)),
    probe(8, 84, 0.002, "held", purpose="replay"),
    probe(9, 101, 0.2, "broke", purpose="replay"),
]  # fmt: skip


def answered(probes: list[Probe], orders: float | None = None) -> Capacity:
    question = Question(Objective(100.0), REGIONS, orders)
    return answer(question, probes, is_finished=True, grid_probes=33)


def written(tmp_path, found: Capacity) -> tuple[str, str, dict]:
    paths = write_capacity(tmp_path, found, MADE)
    assert [path.name for path in paths] == list(WRITTEN)
    html, markdown, document = (path.read_text() for path in paths)
    seen = re.sub(r"<style.*?</style>|<svg.*?</svg>", "", html, flags=re.DOTALL)
    for text in (seen, markdown):
        assert not re.search(r"\b(None|nan|NaN|inf)\b", text)
    data = json.loads(document)
    jsonschema.validate(data, load_schema())
    return html, markdown, data


def test_the_answer_comes_first_and_its_figures_are_those_of_the_probes(tmp_path):
    found = answered(LADDER, orders=1800.0)
    html, markdown, data = written(tmp_path, found)
    knee = found.knee
    assert 80 < knee.low < 90 < knee.high <= 100
    assert data["answer"] in markdown.replace("\\<", "<").splitlines()
    assert f"{knee.low:.3g} to {knee.high:.3g}" in markdown
    assert "Yes: one such server gives 1,800 orders/min (60 sessions/s)" in markdown
    assert "server CPU" in markdown
    for each in LADDER:
        assert f"<code>{each.run_id}</code>" in html
    assert html.count("<svg") == 2
    assert "var(--region-1)" in html


def test_replays_are_not_in_the_interval_and_are_told_as_they_came(tmp_path):
    assert answered(LADDER).knee == answered(LADDER[:-2]).knee
    assert [replay.as_expected for replay in answered(LADDER).replays] == [True, True]
    contradicted = [*LADDER[:-2], replace(LADDER[-2], verdict="broke"), LADDER[-1]]
    _, markdown, _ = written(tmp_path, answered(contradicted))
    assert "NOT shown (it broke)" in markdown


def test_what_the_generator_spoilt_is_a_bound_from_below(tmp_path):
    spoilt = [
        *LADDER[:3],
        *(probe(number, 160, 0.9, "generator", signs=Signs(generator=("late",))) for number in (4, 5)),
    ]
    found = answered(spoilt)
    assert found.ceiling == 160
    assert found.knee.high is None
    _, markdown, _ = written(tmp_path, found)
    assert "# AT LEAST" in markdown
    assert "the generator, not the server, was the limit" in markdown


def test_a_generator_that_coped_the_second_time_is_no_ceiling():
    retried = [*LADDER[:3], probe(4, 160, 0.9, "generator"), probe(5, 160, 0.9, "broke")]
    assert answered(retried).ceiling is None


@pytest.mark.parametrize("probes", [LADDER[:1], LADDER[3:4], [probe(1, 20, 0.0, "generator")]])
def test_a_search_that_found_nothing_says_so(tmp_path, probes):
    bare = replace(
        probes[0], offered_per_s=None, answered_per_s=None, concurrency=None, orders=0, sessions=0,
        little=LittleRow(None, None, None), signs=Signs(),
        regions=tuple(replace(r, share=None, p50_ms=None, p99_ms=None, goodput_per_s=None) for r in probes[0].regions),
    )  # fmt: skip
    for one in (probes[0], bare):
        _, markdown, data = written(tmp_path, answered([one], orders=60.0))
        assert "not identifiable" in markdown
        assert data["replays"] == []


def test_a_region_that_breaks_first_has_its_own_limit():
    def with_region(each: Probe, share: float) -> Probe:
        whole, near, far = each.regions
        return replace(
            each, regions=(whole, near, replace(far, trial=Trial(each.rate, 1000, round(1000 * share), 2.0)))
        )

    probes = [with_region(each, 0.0 if each.rate < 40 else each.rate / 101) for each in LADDER]
    found = {limit.region: limit for limit in answered(probes).limits}
    assert found["eu-west"].knee.high <= 60 < found["us-east"].knee.low
    assert found["eu-west"].share == 0.25


def test_the_document_has_no_number_that_json_has_not():
    json.dumps(capacity_document(answered(LADDER), MADE), allow_nan=False)
