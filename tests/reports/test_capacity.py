"""The page of a capacity: the answer first, its figures from the probes, and nothing invented where some is missing."""

import json
import re
from dataclasses import replace

import jsonschema
import pytest
from bench.reports.capacity import WRITTEN, capacity_document, load_schema, write_capacity

from bench.stats.capacity import Capacity
from bench.stats.capacity_text import advice, lines, weakest_sentence
from bench.stats.limits import Signs
from bench.stats.littles_law import LittleRow
from bench.stats.waits import POOL_OF
from tests.reports.searched import LADDER, MADE, answered, far_breaks_first, probe


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


def test_a_region_that_breaks_first_has_its_own_limit_and_is_named_at_the_top(tmp_path):
    found = answered(far_breaks_first())
    limits = {limit.region: limit for limit in found.limits}
    assert limits["eu-west"].knee.high <= 60 < limits["us-east"].knee.low
    assert limits["eu-west"].share == 0.25
    html, _, data = written(tmp_path, found)
    assert "Not in every region: in eu-west by itself" in html[: html.index("<nav")]
    assert [limit["region"] for limit in data["limits"]] == [None, "us-east", "eu-west"]
    said = list(lines(found, MADE))
    assert any(line.startswith("  eu-west: ") and line.endswith("of its own)") for line in said)
    assert not list(weakest_sentence(answered(LADDER)))


def test_a_region_that_never_broke_is_a_bound_from_below(tmp_path):
    def sound(each):
        whole, near, far = each.regions
        return replace(each, regions=(whole, near, replace(far, trial=replace(far.trial, over=0))))

    found = answered([sound(each) for each in LADDER])
    knee = found.limits[2].knee
    assert knee.high is None
    assert 80 < knee.low <= 100
    _, markdown, _ = written(tmp_path, found)
    assert re.search(r"\| eu-west \| 25 % \| at least [\d.]+ \| at least 2[\d.]+ \|", markdown)


def test_an_objective_of_one_region_is_answered_by_its_requests(tmp_path):
    found = answered(far_breaks_first(), region="eu-west")
    assert found.knee == found.limits[2].knee != found.limits[0].knee
    _, markdown, data = written(tmp_path, found)
    assert "all transactions in eu-west response p99 &lt; 100 ms" in markdown.replace("\\<", "&lt;")
    assert data["objective"]["region"] == "eu-west"
    assert f"{found.knee.high:.3g} sessions/s of all regions" in data["answer"]
    assert data["replays"][0]["verdict"] == "held"


def test_where_the_generator_was_the_limit_it_says_what_to_do(tmp_path):
    def spoilt(machine_cpu):
        signs = Signs(generator=("arrivals were handed out late",), machine_cpu=machine_cpu, cores=2)
        return answered([*LADDER[:3], *(probe(number, 160, 0.9, "generator", signs=signs) for number in (4, 5))])

    _, markdown, _ = written(tmp_path, spoilt(0.6))
    assert "To go higher: put the load on from more processes, --workers 2" in markdown
    assert "arrivals were handed out late" in markdown
    assert "more workers would not help" in " ".join(advice(spoilt(0.99), MADE))
    [elsewhere] = advice(spoilt(None), replace(MADE, workers=2, is_fresh=False))
    assert elsewhere.startswith("To go higher: use a generator with more cores; 2 workers put the load on already")
    assert not list(advice(answered(LADDER), MADE))


def test_where_the_pool_of_users_was_too_small_more_of_them_are_asked_for():
    signs = Signs(generator=(f"{POOL_OF} us-east was too small",), users=20, machine_cpu=0.99, cores=2)
    found = answered([*LADDER[:3], *(probe(number, 160, 0.9, "generator", signs=signs) for number in (4, 5))])
    [said] = advice(found, MADE)
    assert said == "To go higher: hold more users, --users 40. Seen there: the pool of users of us-east was too small."


def test_a_probe_leads_to_its_report_while_that_is_there(tmp_path):
    (tmp_path / "run-2").mkdir()
    (tmp_path / "run-2" / "report.html").write_text("")
    folder = tmp_path / MADE.capacity_id
    folder.mkdir()
    html, markdown, _ = written(folder, answered(LADDER))
    assert re.findall(r'<a href="(\.[^"]*)"><code>([^<]*)</code></a>', html) == [("../run-2/report.html", "run-2")]
    assert "[`run-2`](../run-2/report.html) |" in markdown
    assert "| `run-3` |" in markdown


def test_the_document_has_no_number_that_json_has_not():
    json.dumps(capacity_document(answered(LADDER), MADE), allow_nan=False)
