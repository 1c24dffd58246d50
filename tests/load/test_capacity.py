"""``bench capacity`` on the embedded server, with the real engine and a small budget: structure, not figures."""

import json
import os
import re
import subprocess
import sys
from datetime import date
from functools import partial

import click
import pytest
from bench.reports.capacity import load_schema
from click.testing import CliRunner
from jsonschema import validate

from bench.cli.capacity import command
from bench.cli.capacity_run import Asked, objective_of
from bench.cli.options import TargetOptions
from bench.cli.planning import Overrides, resolve
from bench.cli.processes import server_seconds
from bench.cli.searching import Hunt
from bench.errors import ExitCode, TargetError, UsageError
from bench.results.read import Run
from bench.stats.probing import Objective
from bench.stats.search import Search
from tests.db.node_metrics import busy, exporter
from tests.reports.searched import answered, far_breaks_first

BUDGET = ("--max-time", "60s", "--probe", "6s", "--warm-up", "2s", "--scale", "tiny")


@pytest.mark.slow
@pytest.mark.flaky(reruns=2)  # on a machine that others use as well one probe may take all of the time
def test_a_search_within_a_budget_leaves_probes_and_an_answer(bench, tmp_path):
    done = bench(
        "capacity", "checkout", "--p99", "5s", "--start", "3/s", "--regions", "us-east,eu-west", "--orders", "30/min",
        *BUDGET,
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


SEEDED = ("--scale", "tiny", "--as-of", "2026-11-01", "--regions", "us-east,eu-west")


def searched(tmp_path, done) -> dict:
    """The answer of a search on a database elsewhere, which has two of the scenario's four regions."""
    assert done.returncode in (ExitCode.OK, ExitCode.OBJECTIVE_FAILED, ExitCode.NOT_VALID), done.stderr
    [folder] = (tmp_path / "runs").glob("*-checkout-*-capacity")
    found = json.loads((folder / "capacity.json").read_text())
    validate(found, load_schema())
    assert found["made"]["regions"] == ["us-east", "eu-west"]
    assert not found["made"]["is_fresh"]
    for probe in found["probes"]:
        with Run.open(tmp_path / "runs" / probe["run_id"]) as run:
            (phase,) = [phase for phase in run.manifest.phases if phase.name == "probe"]
            # By the schedule's phase, not by the frames that lie in it: these may end late.
            offered = sum(cell.offered for cell in run.arrivals if cell.phase == "probe")
            seconds = (phase.end_s if run.end_s is None else run.end_s) - phase.start_s
        # The rate is all offered, none of it to regions that are not there, but for chance: five standard deviations.
        assert abs(offered - probe["rate"] * seconds) < 5 * (probe["rate"] * seconds) ** 0.5
        # The generator's own processes are no server.
        assert probe["signs"]["server_cpu"] is None
    return found


@pytest.mark.slow
def test_one_region_of_a_database_elsewhere_by_two_workers(bench, tmp_path, fresh_database):
    assert bench("seed", "--url", fresh_database, *SEEDED).returncode == 0
    done = bench(
        "capacity", "checkout", "--p99", "5s", "--start", "3/s", "--in", "eu-west", "--workers", "2", *BUDGET[:-2],
        BENCH_URL=fresh_database,
    )  # fmt: skip
    found = searched(tmp_path, done)
    assert (found["objective"]["region"], found["made"]["workers"]) == ("eu-west", 2)
    assert "all transactions in eu-west response p99 < 5.00 s" in found["answer"]
    for probe in found["probes"]:
        with Run.open(tmp_path / "runs" / probe["run_id"]) as run:
            assert len(run.workers) == 2
            assert "--url" not in run.manifest.command
        eu_west = next(row for row in probe["regions"] if row["region"] == "eu-west")
        assert probe["verdict"] in (eu_west["verdict"], "generator")


@pytest.mark.slow
def test_gateways_name_the_regions_and_their_nodes_say_how_busy_they_were(bench, tmp_path, fresh_database):
    assert bench("seed", "--url", fresh_database, *SEEDED).returncode == 0
    gateways = [f"--gateway={region}={fresh_database}" for region in ("us-east", "eu-west")]
    with exporter() as calm, exporter() as hot:
        calm.now, hot.now = partial(busy, 0.2), partial(busy, 0.95)
        nodes = ("--metrics", f"us-east={calm.address}", "--metrics", f"eu-west={hot.address}")
        done = bench("capacity", "checkout", "--p99", "5s", "--start", "3/s", *gateways, *nodes, *BUDGET[:-2])
    found = searched(tmp_path, done)
    for probe in found["probes"]:
        node = probe["signs"]["node"]
        assert (node["region"], node["node"]) == ("eu-west", hot.address)
        assert (node["busy"], node["cores"]) == (pytest.approx(3.8, rel=0.01), pytest.approx(4.0, rel=0.01))
        with Run.open(tmp_path / "runs" / probe["run_id"]) as run:
            assert "--gateway" not in run.manifest.command, "it may hold a password, and everybody can read it"
    assert found["made"]["distance_ms"] == {}, "where each region has its gateway, nothing is emulated"


def test_only_the_servers_processes_count_as_the_server(server):
    """A run has its workers for children, too."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as worker:
        found = server_seconds(os.getpid())
        worker.communicate(b"\n")
    assert server.pid in found
    assert worker.pid not in found
    assert os.getpid() not in found


def test_the_search_follows_the_region_of_its_objective():
    """There eu-west breaks from 60 sessions a second on, and all regions together at 90."""

    def hunt(region):
        objective = Objective(100.0, region=region)
        search = Search(20.0, 1.0, 1000.0, objective.over_share)
        return Hunt(None, search, objective, 60.0, print, probes=far_breaks_first())

    assert hunt("eu-west").knee == answered(far_breaks_first(), region="eu-west").knee
    assert hunt("eu-west")._next() < 40 < hunt(None).knee.low


def test_the_scenario_s_objective_of_a_region(tmp_path):
    text = """
        name = "mine"
        question = "?"
        objectives = ["checkout retries < 1", "checkout in eu-west response p95 < 300ms", "all response p99 < 1s"]
        [workload]
        user = "bench.workloads.shop:ShopperUser"
        [[phases]]
        name = "a"
        duration = "1s"
        rate = { shop = "5/s" }
    """
    (tmp_path / "mine.toml").write_text(text)
    plan = resolve(str(tmp_path / "mine.toml"), Overrides(), 1, date(2026, 11, 1))

    def found(p99_s=None, **chosen):
        asked = {"transaction": None, "region": None} | chosen
        target = TargetOptions(None, (), None, None)
        return objective_of(
            Asked(plan, target, p99_s, None, failed_share=0.0, orders_per_s=None, start=None, max_time_s=1, longest_s=1,
                  warm_up_s=1, tolerance=1, workers=None, out=tmp_path, **asked)
        )  # fmt: skip

    assert found().describe() == "checkout in eu-west response p95 < 300 ms"
    assert found(p99_s=0.2, region="us-west").describe() == "all transactions in us-west response p99 < 200 ms"
    with pytest.raises(UsageError, match="no region 'mars' to search in"):
        found(p99_s=0.2, region="mars")
    with pytest.raises(UsageError, match="no objective for a response time of cart in eu-west"):
        found(transaction="cart", region="eu-west")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("checkout", "--p99", "1s", "--p95", "1s"), "two objectives"),
        (("checkout", "--p99", "nonsense"), "not a duration"),
        (("no-such", "--p99", "1s"), "no scenario named"),
        (("checkout", "--p99", "1s", "--in", "mars"), "no region 'mars' to search in"),
        (("checkout", "--p99", "1s", "--workers", "0"), "a run needs a worker"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_the_first_probe(tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(command, arguments, standalone_mode=False).exception
    assert isinstance(refused, (UsageError, click.UsageError))
    assert refused.exit_code == ExitCode.USAGE
    assert said in refused.message
    assert not list(tmp_path.iterdir())


def test_a_database_that_is_not_ready_is_refused_before_the_first_probe(tmp_path, monkeypatch, fresh_database):
    monkeypatch.chdir(tmp_path)
    arguments = ["checkout", "--p99", "1s", "--url", fresh_database]
    refused = CliRunner().invoke(command, arguments, standalone_mode=False).exception
    assert isinstance(refused, TargetError)
    assert "does not hold our schema" in refused.message
    assert not list(tmp_path.iterdir())
