"""``bench compare``, ``gate`` and ``baseline``: refusals field by field, exit codes, and the files they write."""

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import compare, gate
from bench.cli.baseline import command as baseline
from bench.cli.comparing import sides
from bench.errors import NotValidError, UsageError
from bench.results.baseline import Sample
from bench.results.identity import circumstances, identity
from bench.results.read import Run
from bench.results.store import RunWriter
from bench.stats.comparison_measures import METRICS
from bench.stats.validity import Validity
from tests.results.synthetic import BROKEN, PASSED, manifest, write_run


def call(command, *arguments, env=None):
    done = CliRunner().invoke(command, [str(argument) for argument in arguments], env=env, standalone_mode=False)
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return int(done.return_value or 0), done.stdout


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Path:
    """Two runs of the same thing, one that was killed, one with wrong data."""
    folder = tmp_path_factory.mktemp("runs")
    for seed, (name, options) in enumerate(
        {"one": {}, "two": {}, "killed": {"status": None, "last": 12}, "wrong": {"findings": (PASSED, BROKEN)}}.items()
    ):
        write_run(folder / name, seed=seed, **{"rate": 60, "last": 16} | options)
        changed(folder / name)
    return folder


def changed(folder: Path, **changes) -> Path:
    (folder / "manifest.json").write_text(manifest(run_id=folder.name, **changes).model_dump_json())
    return folder


@pytest.fixture
def other(tmp_path):
    """A run of the same thing whose manifest a test may change."""
    write_run(tmp_path / "runs" / "other", seed=1, last=6, rate=5)
    return tmp_path / "runs" / "other"


def part(name, **changes):
    return {name: manifest().model_dump()[name] | changes}


SCENARIO = manifest().scenario
PLACE = ("browse", None, "response_p50_ms")
FIELDS = [
    ("machine.cpus", part("machine", cpus=4), "8 and 4"),
    ("machine.cpu_model", part("machine", cpu_model="Other"), "Example and Other"),
    ("machine.memory_gib", part("machine", memory_bytes=2**34), "30 and 16"),
    ("machine.system", part("machine", os="Darwin 25"), "Linux and Darwin"),
    ("machine.python_minor", part("machine", python="3.12.1"), "3.11 and 3.12"),
    ("target.kind", part("target", kind="url"), "embedded and url"),
    ("target.server_version", part("target", server_version="PostgreSQL 17.0"), "PostgreSQL 18.1 and PostgreSQL 17.0"),
    ("target.isolation", part("target", isolation="READ COMMITTED"), "SERIALIZABLE and READ COMMITTED"),
    ("target.variant", part("target", variant="pg_partitioned"), "pg and pg_partitioned"),
    ("target.settings.shared_buffers", part("target", settings={"synchronous_commit": "on"}), "512MB and nothing"),
    ("schema", {"schema_fingerprint": "other"}, "5f2d9c and other"),
    ("data.scale", part("data", scale="large"), "small and large"),
    ("data.seed", part("data", seed=8), "7 and 8"),
    ("data.fingerprint", part("data", fingerprint="ffff"), "a1b2c3 and ffff"),
    ("data.checksums.orders", part("data", checksums={"orders": "77"}), "nothing and 77"),
    ("distance_ms.us-west", {"distance_ms": dict(manifest().distance_ms) | {"us-west": 10.0}}, "62 and 10"),
    ("regions", {"regions": ("us-east",)}, "us-east, us-west, eu-west, asia-pac and us-east"),
    ("seed", {"seed": 43}, "42 and 43"),
    ("workload", {"workload": "mine:User"}, "bench.workloads.flash_sale:FlashSaleUser and mine:User"),
    ("scenario.retry.base_ms", {"scenario": SCENARIO | {"retry": {"base_ms": 5.0}}}, "nothing and 5.0"),
    ("versions.psycopg", {"versions": {"locust": "2.47.0", "psycopg": "3.4.0"}}, "3.3.9 and 3.4.0"),
]


def sample(name, **changes):
    """A run with these fields, and no figures."""
    fields = manifest(run_id=name, **changes)
    return Sample(
        run_id=name,
        created_utc=fields.created_utc,
        status="complete",
        validity="VALID",
        reasons=(),
        broken=(),
        is_audited=True,
        identity=identity(fields),
        circumstances=circumstances(fields),
        rows=(),
    )


@pytest.mark.parametrize(("field", "changes", "values"), FIELDS, ids=[field for field, _, _ in FIELDS])
def test_a_field_that_differs_is_refused_by_name(field, changes, values):
    one, other = sample("one"), sample("other", **changes)
    with pytest.raises(UsageError) as caught:
        sides([one], other, [])
    assert caught.value.message.splitlines() == [
        "'one' and 'other' cannot be compared: 1 field differs",
        f"  {field}: {values}",
    ]
    assert sides([one], other, [field]).notes[0] == f"allowed to differ: {field}: {values}"


def test_all_fields_are_named_at_once_and_an_area_may_be_allowed():
    one, other = (
        sample("one"),
        sample("other", **part("machine", cpus=4, cpu_model="Other"), schema_fingerprint="other"),
    )
    with pytest.raises(UsageError, match="3 fields differ"):
        sides([one], other, [])
    with pytest.raises(UsageError) as caught:
        sides([one], other, ["machine"])
    assert "1 field differs\n  schema:" in caught.value.message


@pytest.mark.parametrize(
    ("before", "after", "trust"),
    [
        (["VALID"], "VALID", "all"),
        (["DEGRADED", "VALID", "VALID"], "VALID", "all"),
        (["DEGRADED", "DEGRADED", "VALID"], "VALID", "unsteady"),
        (["VALID"], "DEGRADED", "unsteady"),
        (["VALID", "VALID"], "INVALID", "none"),
        (["INVALID", "VALID", "VALID"], "VALID", "none"),
    ],
)
def test_a_comparison_trusts_its_runs_as_far_as_their_verdicts_go(before, after, trust):
    one = sample("one")
    runs = [one.model_copy(update={"validity": verdict}) for verdict in (*before, after)]
    assert sides(runs[:-1], runs[-1], []).trust == trust


def test_the_commands_refuse(runs, other):
    changed(other, **part("machine", cpus=4))
    with pytest.raises(UsageError, match=r"machine\.cpus: 8 and 4") as caught:
        call(compare.command, runs / "one", other)
    assert caught.value.exit_code == 2
    with pytest.raises(UsageError, match=r"machine\.cpus: 8 and 4"):
        call(gate.command, other, "--baseline", runs / "one")
    code, said = call(compare.command, runs / "one", other, "--allow", "machine.cpus")
    assert (code, "note: allowed to differ: machine.cpus: 8 and 4" in said) == (0, True)


def test_what_is_under_test_may_differ_and_is_noted():
    versions = {"locust": "2.47.0", "psycopg": "3.3.9", "numpy": "9.9"}
    git = {"commit": "fedc", "dirty": True}
    notes = sides([sample("one")], sample("other", git=git, bench_version="0.2.0", versions=versions), []).notes
    assert notes == (
        "bench_version: 0.1.0 and 0.2.0",
        "git.commit: 0123456789abcdef and fedc",
        "versions.numpy: nothing and 9.9",
    )


def test_two_runs_of_the_same_thing_differ_in_nothing(runs):
    _, said = call(compare.command, runs / "one", runs / "two", "--format", "json")
    document = json.loads(said)
    words = {row["word"] for row in document["rows"]}
    assert words <= {"no difference", "can't tell"}
    assert (document["before"], document["after"]) == (["one"], "two")
    assert {row["metric"] for row in document["rows"]} <= set(METRICS)
    row = next(row for row in document["rows"] if (row["name"], row["region"], row["metric"]) == PLACE)
    with Run.open(runs / "two") as run:
        merged = run.transactions(by=("phase", "name"))
        pooled = [group for (phase, name), group in merged.items() if name == "browse" and phase != "warm-up"]
    low, high = sorted(group.response.percentile_ms(50) for group in pooled)[:: len(pooled) - 1]
    assert (low <= row["after"] <= high, row["count"] <= sum(group.count for group in pooled)) == (True, True)
    assert {row["region"] for row in document["rows"] if row["group"] == "transaction"} >= {None, "eu-west"}
    _, marked = call(compare.command, runs / "one", runs / "two", "--format", "markdown")
    rows = [line for line in marked.splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in rows}) == 1


def test_a_baseline_is_saved_and_gated_against(runs, tmp_path):
    file = tmp_path / "deep" / "baseline.json"
    call(baseline, "save", runs / "one", runs / "two", "--out", file)
    assert len(json.loads(file.read_text())["runs"]) == 2
    code, said = call(
        gate.command, runs / "two", "--baseline", file, "--format", "json", env={"GITHUB_STEP_SUMMARY": None}
    )
    document = json.loads(said)
    assert code == document["exit_code"]
    assert document["verdict"] in ("PASS", "INCONCLUSIVE")
    assert document["sights"]


def test_what_is_not_fit_is_no_baseline(runs, tmp_path, other):
    for name, cause in (("killed", "killed"), ("wrong", "data wrong")):
        with pytest.raises(NotValidError) as caught:
            call(baseline, "save", runs / name, "--out", tmp_path / "b.json")
        assert cause in caught.value.cause
    with RunWriter(tmp_path / "runs" / "bad") as writer:
        writer.write_manifest(manifest())
        writer.finish("complete", "", Validity("INVALID", ("it was late",)))
    with pytest.raises(NotValidError) as caught:
        call(baseline, "save", tmp_path / "runs" / "bad", "--out", tmp_path / "b.json")
    assert "it was late" in caught.value.cause
    with pytest.raises(UsageError, match="are not of the same thing"):
        call(baseline, "save", runs / "one", changed(other, seed=5), "--out", tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "has format 0"),
        ("[]", "is not a baseline"),
        ("nonsense", "is not a baseline"),
        ('{"schema_version": 1, "runs": []}', "is not a baseline"),
        ('{"schema_version": 99, "runs": []}', "has format 99"),
    ],
)
def test_a_file_that_is_no_baseline_is_refused(runs, tmp_path, text, message):
    (tmp_path / "b.json").write_text(text)
    with pytest.raises(UsageError, match=message):
        call(gate.command, runs / "two", "--baseline", tmp_path / "b.json")
    with pytest.raises(UsageError, match="there is no baseline"):
        call(gate.command, runs / "two", "--baseline", tmp_path / "none.json")


@pytest.mark.parametrize(("name", "code", "verdict"), [("killed", 4, "INVALID"), ("wrong", 6, "DATA WRONG")])
def test_what_cannot_be_judged_never_passes(runs, tmp_path, name, code, verdict):
    junit, summary = tmp_path / "gate.xml", tmp_path / "summary.md"
    arguments = (runs / name, "--baseline", runs / "one", "--junit", junit)
    found, said = call(gate.command, *arguments, env={"GITHUB_STEP_SUMMARY": str(summary)})
    assert found == code
    assert said.startswith(f"gate: {verdict}")
    suite = ET.parse(junit).getroot()[0]
    assert (suite.get("errors"), suite.get("failures"), len(suite.findall("testcase/error"))) == ("1", "0", 1)
    assert summary.read_text().startswith(f"## Gate: {verdict}")


def test_a_missed_objective_fails_the_gate(runs, tmp_path):
    folder = tmp_path / "strict"
    write_run(folder, seed=2, rate=60, last=12)
    objective = {
        "text": "all response p99 < 1ms",
        "transaction": None,
        "region": None,
        "metric": "response_p99_ms",
        "limit": 1.0,
    }
    changed(folder, scenario=SCENARIO | {"objectives": [objective]})
    code, said = call(gate.command, folder, "--baseline", runs / "one", env={"GITHUB_STEP_SUMMARY": None})
    assert code == 1
    assert "objective all response p99 < 1ms: " in said


def test_junit_has_a_case_for_each_thing_judged(runs, tmp_path):
    junit, summary = tmp_path / "gate.xml", tmp_path / "summary.md"
    summary.write_text("before\n")
    call(gate.command, runs / "two", "--baseline", runs / "one", "--junit", junit, "--summary", summary)
    root = ET.parse(junit).getroot()
    suite = root.find("testsuite")
    cases = suite.findall("testcase")
    assert root.tag == "testsuites"
    assert int(suite.get("tests")) == len(cases) > 10
    assert int(suite.get("skipped")) == len(suite.findall("testcase/skipped"))
    assert int(suite.get("failures")) == len(suite.findall("testcase/failure"))
    assert int(suite.get("errors")) == len(suite.findall("testcase/error")) == 0
    assert all(case.get("name") and case.get("classname") for case in cases)
    assert len({case.get("name") for case in cases}) == len(cases)
    assert suite.find("properties/property[@name='verdict']").get("value") in ("PASS", "INCONCLUSIVE")
    assert summary.read_text().startswith("before\n## Gate: ")
    with pytest.raises(UsageError, match="cannot write"):
        call(gate.command, runs / "two", "--baseline", runs / "one", "--summary", tmp_path / "no" / "such.md")
