"""What a plan says of itself before anything is run."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.cli import group
from bench.cli.bakeoff import open_cells
from bench.cli.planning import Overrides, _overlaid
from bench.cli.scenario_files import find_scenario
from tests.cli.conftest import Told

Bench = Callable[..., "subprocess.CompletedProcess[str]"]

EVERY_SHAPE = """
name = "every-shape"
question = "?"
[workload]
user = "bench.workloads.flash_sale:FlashSaleUser"
[[regions]]
name = "us-east"
share = 2
[[regions]]
name = "tokyo"
utc_offset = 9
[[phases]]
name = "stairs"
duration = "10s"
shape = "step"
steps = 4
rate = { browse = ["10/s", "40/s"] }
[[phases]]
name = "sale"
duration = "12s"
shape = "spike"
opens_sale = true
burst = { buy = 11 }
rate = { browse = "5/s", buy = ["2/s", "60/s"] }
[[phases]]
name = "day"
duration = "20s"
measured = false
shape = "diurnal"
rate = { browse = ["2/s", "40/s"], shop = { tokyo = ["1/s", "3/s"] } }
[[phases]]
name = "recorded"
duration = "4s"
shape = "trace"
trace = "recorded.csv"
rate = { browse = 3, shop = 1 }
"""


@pytest.fixture
def every_shape(tmp_path: Path) -> None:
    (tmp_path / "every.toml").write_text(EVERY_SHAPE)
    (tmp_path / "recorded.csv").write_text("second,us-east,tokyo\n0,10,0\n2,40,20\n")


def lines(done: "subprocess.CompletedProcess[str]") -> list[str]:
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.usefixtures("every_shape")
def test_a_dry_run_describes_every_shape(bench: Bench) -> None:
    plan = lines(bench("run", "every.toml", "--dry-run"))
    assert plan[-4:] == [
        "  stairs         10 s  browse 10→40/s, in 4 steps",
        "  sale           12 s  11 buy at once, browse 5/s, buy 60/s decaying to 2/s, half-life 2 s  the sale opens",
        "  day            20 s  browse 2 to 40/s, shop 1 to 3/s in tokyo, a day of 20 s  not measured",
        "  recorded        4 s  browse weight 3, shop weight 1, by recorded.csv",
    ]
    rates = [line for line in plan if line.startswith(("rate ", "  us-east ", "  tokyo "))]
    assert [line[10:70].strip() != "" and len(line[10:70]) for line in rates] == [60, 60, 60]
    assert rates[0].endswith(" peak 65/s")
    # Nothing is offered in tokyo in the first half of the trace.
    assert rates[2][10:70].count(" ") in (2, 3)


@pytest.mark.usefixtures("every_shape")
def test_rate_and_duration_scale_every_shape(bench: Bench) -> None:
    plan = lines(bench("run", "every.toml", "--dry-run", "--rate", "130/s", "--duration", "92s"))
    assert plan[-4:] == [
        "  stairs         20 s  browse 20→80/s, in 4 steps",
        "  sale           24 s  22 buy at once, browse 10/s, buy 120/s decaying to 4/s, half-life 4 s  the sale opens",
        "  day            40 s  browse 4 to 80/s, shop 2 to 6/s in tokyo, a day of 40 s  not measured",
        "  recorded        8 s  browse weight 3, shop weight 1, by recorded.csv",
    ]
    assert any(line.startswith("rate ") and line.endswith(" peak 130/s") for line in plan)


@pytest.mark.usefixtures("every_shape")
def test_a_pool_too_small_for_the_load_is_said(bench: Bench) -> None:
    users = next(line for line in lines(bench("run", "every.toml", "--dry-run", "--rate", "9000/s")) if "users" in line)
    assert users.startswith("users     200: ")
    assert "; the pool is capped at 200 users (max_users); the planned load needs about " in users


@pytest.mark.usefixtures("every_shape")
def test_rates_of_regions_that_are_not_there(bench: Bench) -> None:
    done = bench("run", "every.toml", "--dry-run", "--regions", "us-east")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: phase 'day' of 'every-shape' gives rates by region, and none for us-east",
        "hint: it gives them for tokyo",
    ]


@pytest.mark.usefixtures("every_shape")
def test_a_fault_of_a_trace_names_its_line(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "recorded.csv").write_text("second,us-east,tokyo\n0,10\n2,40,x\n")
    done = bench("run", "every.toml", "--dry-run")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: every.toml has 2 faults",
        "  phases[3].trace: 'recorded.csv' line 2: has 2 values, the header 3",
        "  phases[3].trace: 'recorded.csv' line 3: 'x' is not a number",
    ]


@pytest.mark.parametrize(
    ("arguments", "runs"),
    [
        (("contention",), ["runs      18: 6 strategies × 3 isolation levels, 19 s of load each"]),
        (
            ("contention", "--isolation", "serializable", "--duration", "38s"),
            ["runs      6: 6 strategies × 1 isolation level, 38 s of load each"],
        ),
        (("contention", "--strategy", "naive", "--isolation", "serializable"), []),
        (("gate", "--variants", "pg,pg_partitioned"), ["runs      2: variants pg, pg_partitioned, 19 s of load each"]),
    ],
)
def test_a_dry_run_says_how_many_runs_it_would_be(arguments: tuple[str, ...], runs: list[str]) -> None:
    done = CliRunner().invoke(group, ["run", *arguments, "--dry-run"], standalone_mode=False)
    assert done.exception is None, done.exc_info
    assert [line for line in done.stdout.splitlines() if line.startswith("runs ")] == runs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("gate", "--variants", "pg,pgp"), "error: no schema variant named 'pgp'"),
        (
            ("gate", "--variants", "pg,pg_partitioned", "--variant", "pg"),
            "error: --variant and --variants are one or the",
        ),
        (("contention", "--variants", "pg,pg_partitioned"), "error: 'contention' is a bake-off already"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would(told: Told, arguments: tuple[str, ...], message: str) -> None:
    code, lines = told("run", *arguments, "--dry-run")
    assert (code, lines[0][: len(message)]) == (2, message)


def test_the_list_of_scenarios_says_how_long_each_takes():
    said = CliRunner().invoke(group, ["scenarios"], standalone_mode=False).output
    words = {line.split()[0]: line for line in said.splitlines()}
    assert re.match(r"contention +18 × 19 s  ", words["contention"])
    assert re.match(r"flash-sale +40 s  ", words["flash-sale"])
    contention, _ = find_scenario("contention")
    assert contention.matrix.runs == len(open_cells(contention.matrix, None, None))


def test_regions_that_are_left_out_have_no_distance_either():
    scenario, _ = find_scenario("flash-sale")
    chosen = _overlaid(scenario, Overrides(regions=("eu-west", "elsewhere")))
    assert chosen.distance_ms == {"eu-west": scenario.distance_ms["eu-west"]}
