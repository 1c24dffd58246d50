"""``bench run`` as a user sees it: figures that add up, an orderly end whatever happens."""

import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests_support import HANG_S, command

from bench.cli.findings import WITNESSES_SHOWN
from bench.metrics.recorder import DROPPED
from bench.results.files import find_run
from bench.results.read import Run
from bench.results.summarise import summarise_run

from .conftest import Start, was_started

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
SHORT = ("flash-sale", "--scale", "tiny", "--as-of", "2026-11-01", "--duration", "6s", "--users", "60")


@pytest.fixture(scope="module")
def finished(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple["subprocess.CompletedProcess[str]", Path]:
    """One whole run without distance, looked at by several tests."""
    folder = tmp_path_factory.mktemp("finished")
    done = subprocess.run(
        [command(), "run", *SHORT, "--no-distance"],
        cwd=folder,
        env={**os.environ, "BENCH_HOME": str(home), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    return done, find_run(folder / "runs", "last")


def test_it_ends_well_with_a_report(finished: tuple["subprocess.CompletedProcess[str]", Path]) -> None:
    done, folder = finished
    # A busy machine may make the measurement invalid (4), which is a verdict and not a fault.
    assert done.returncode in (0, 4), done.stderr
    assert len(done.stdout.splitlines()) <= 25
    assert str(folder / "report.html") in done.stdout
    assert (folder / "report.html").stat().st_size > 10_000
    assert "audit: " in done.stdout
    assert json.loads((folder / "summary.json").read_text())["status"] == "complete"


def test_the_figures_add_up(finished: tuple["subprocess.CompletedProcess[str]", Path]) -> None:
    _, folder = finished
    with Run.open(folder) as run:
        arrivals = list(run.arrivals)
        sessions = [cell for cell in run.cells if was_started(cell)]
        offered = sum(cell.offered for cell in arrivals)
        started = sum(cell.started for cell in arrivals)
        dropped = sum(cell.dropped for cell in arrivals)
        assert offered > 100
        assert offered == started + dropped
        assert len(run.contenders) == sum(cell.offered for cell in arrivals if cell.session == "buy") > 0
        assert started == sum(cell.count for cell in sessions)
        for cell in run.cells:
            assert cell.attempts >= (0 if cell.outcome == DROPPED else cell.count)
            assert cell.response.max_ns >= cell.service.max_ns
        assert {cell.region for cell in arrivals} == {"us-east", "us-west", "eu-west", "asia-pac"}
        begun = sum(cell.count for cell in run.statements if cell.statement == "BEGIN")
        ended = sum(cell.count for cell in run.statements if cell.statement in ("COMMIT", "ROLLBACK"))
        assert begun == ended
        attempts = sum(cell.count for cell in run.attempts)
        assert attempts == sum(cell.attempts for cell in run.cells if not cell.name.startswith("session:"))


def test_the_mix_and_the_phases_are_those_that_were_planned(
    finished: tuple["subprocess.CompletedProcess[str]", Path],
) -> None:
    with Run.open(finished[1]) as run:
        summary = summarise_run(run)
        # A frame may end late, on a machine that stood still.
        late_s = max(elapsed_s - number for number, elapsed_s in run.rows("SELECT frame, elapsed_s FROM frames"))
    assert summary.mix is not None
    assert {row.session for row in summary.mix.rows} == {"browse", "shop", "buy"}
    assert summary.mix.p_value is not None
    assert not summary.mix.is_doubtful, summary.mix.rows
    for row in summary.executed:
        assert row.from_s is not None
        assert row.to_s is not None
        # To the second: frames are not cut at the ends of phases.
        assert row.planned_from_s - 1.1 <= row.from_s
        assert row.to_s <= row.planned_to_s + 1.1 + max(0.0, late_s)


def test_what_was_sold_is_what_was_offered_less_what_is_left(
    finished: tuple["subprocess.CompletedProcess[str]", Path],
) -> None:
    _, folder = finished
    with Run.open(folder) as run:
        stock = run.stock
        assert len(stock) == 12
        # Undersold units are found by SKU.
        assert {contender.key.partition("@")[0] for contender in run.contenders} <= {row.sku for row in stock}
        assert all(row.sold + row.left == row.offered and row.oversold == 0 for row in stock)
        assert sum(row.sold for row in stock) > 0
        assert [finding.rule for finding in run.findings if not finding.passed] == []
        assert len(run.findings) >= 12


@pytest.mark.slow
def test_a_second_run_begins_with_the_same_data_and_reuses_it(
    start: Start, bench: Bench, finished: tuple["subprocess.CompletedProcess[str]", Path]
) -> None:
    play = start(*SHORT, "--no-distance")
    code, _, err = play.end()
    assert code in (0, 4), err
    assert "(reused)" in err
    first, second = (
        json.loads((folder / "manifest.json").read_text())["data"]
        for folder in (finished[1], find_run(play.folder / "runs", "last"))
    )
    assert first == second
    assert first["rows"]["orders"] > 0
    # The run's database is left as it was, for an audit by hand.
    done = bench("audit", "--run", "last")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WRONG" not in done.stdout
    # The first run's is gone: its orders would all be missing in this one's.
    done = bench("audit", "--run", str(finished[1]))
    assert done.returncode == 2
    assert done.stderr.startswith(
        f"error: the embedded database is that of run {find_run(play.folder / 'runs', 'last').name}"
    )


@pytest.mark.slow
def test_naive_oversells_and_is_caught_with_the_orders(start: Start) -> None:
    play = start(
        "flash-sale",
        "--scale",
        "tiny",
        "--duration",
        "9s",
        "--strategy",
        "naive",
        "--isolation",
        "read-committed",
        "--set",
        "units_per_region=5",
    )
    code, out, err = play.end()
    assert code == 6, err
    assert "DATA WRONG" in out.splitlines()[0]
    with play.run() as run:
        broken = {finding.rule: finding for finding in run.findings if not finding.passed}
        assert "oversold" in broken
        assert sum(row.oversold for row in run.stock) > 0
        journal = {entry.order_number for entry in run.journal()}
        named = {row["order_number"] for row in broken["oversold"].witness}
        assert named
        assert named <= journal
    assert sum(number in out for number in named) == min(len(named), WITNESSES_SHOWN)


def test_the_driver_under_the_wrong_wait_function_is_refused(fresh_database: str) -> None:
    """psycopg imported before gevent's patching picks a wait that blocks everybody: ten sleeps take ten times as long."""
    script = (
        "import psycopg, sys\n"
        "from bench.load.waiting import prove_concurrency, install_native_wait\n"
        "from bench.errors import NotValidError\n"
        "connect = lambda: psycopg.connect(sys.argv[1], autocommit=True)\n"
        "try:\n    prove_concurrency(connect)\n"
        "except NotValidError as error:\n    print(error.message)\n"
        "install_native_wait()\n"
        "print(prove_concurrency(connect) < 0.5)\n"
    )
    done = subprocess.run(
        [Path(command()).with_name("python"), "-W", "ignore", "-c", script, fresh_database],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=True,
    )
    refusal, proven = done.stdout.splitlines()
    told = re.match(r"10 concurrent sleeps of 0.1 s took ([\d.]+) s", refusal)
    assert told is not None, refusal
    assert float(told[1]) >= 1.0
    assert proven == "True"


CLOSED = """
name = "closed"
question = "how fast can twenty go?"
model = "closed"
users = 20
think_time = 0.02
scale = "tiny"
[workload]
user = "bench.workloads.flash_sale:FlashSaleUser"
[[phases]]
name = "first"
duration = "8s"
rate = { browse = "2/s", shop = "1/s" }
[[phases]]
name = "pause"
duration = "1s"
[[phases]]
name = "second"
duration = "6s"
rate = { browse = "1/s" }
"""


@pytest.mark.slow
def test_a_closed_model_keeps_to_its_phases(start: Start, tmp_path: Path) -> None:
    (tmp_path / "closed.toml").write_text(CLOSED)
    play = start("closed.toml", "--no-distance")
    code, _, err = play.end()
    assert code in (0, 4), err
    assert "Traceback" not in err
    with play.run() as run:
        sessions: Counter[tuple[str, str]] = Counter()
        for cell in run.cells:
            if cell.name.startswith("session:"):
                sessions[cell.phase, cell.name] += cell.count
                assert cell.outcome == "ok"
        assert sum(c.started for c in run.arrivals) == sum(sessions.values())
    assert {phase for phase, _ in sessions} == {"first", "second"}
    assert sessions["first", "session:browse"] > sessions["first", "session:shop"] > 20
    assert ("second", "session:shop") not in sessions
