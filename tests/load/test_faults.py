"""Faults while a run goes on: it goes on where it can, loses no order, and says when it had no connection and what that cost.

The server is the tests' own and stands apart from ``bench run``, which only knows its address.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from tests_support import HANG_S

from bench.cli.scenario_files import find_scenario
from bench.metrics.frame import LOST_CONNECTION
from bench.results.read import Run
from bench.results.summarise import summarise_run
from bench.scenario.writing import to_toml
from bench.stats.outages import Outage

from .conftest import Play, Start
from .proxy import Proxy
from .standing import Standing

pytestmark = pytest.mark.slow

REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")
HEAD = """
name = "faulty"
question = "what does a fault do?"
users = 24
scale = "tiny"
{keys}
[workload]
user = "bench.workloads.flash_sale:FlashSaleUser"
"""
PHASE = """
[[phases]]
name = "{name}"
duration = "{seconds}s"
rate = {{ browse = "20/s", shop = "15/s" }}
"""


@pytest.fixture(scope="module")
def standing() -> Iterator[Standing]:
    folder = Path(tempfile.mkdtemp(prefix="shopbench-faults-", dir="/var/tmp" if Path("/var/tmp").is_dir() else None))
    folder.chmod(0o755)
    made = Standing(folder)
    made.start()
    try:
        made.seed()
        yield made
    finally:
        made.running.stop()
        shutil.rmtree(folder, ignore_errors=True)


def scenario(folder: Path, *seconds: int, keys: str = "") -> str:
    path = folder / "faulty.toml"
    phases = [PHASE.format(name=f"phase-{number}", seconds=length) for number, length in enumerate(seconds)]
    path.write_text(HEAD.format(keys=keys) + "".join(phases))
    return str(path)


def reasons(run: Run) -> Counter[str]:
    found: Counter[str] = Counter()
    for cell in run.retries:
        found[cell.reason] += cell.count
    return found


def failures(run: Run) -> Counter[str]:
    found: Counter[str] = Counter()
    for cell in run.cells:
        if cell.kind == "failure" and not cell.name.startswith("session:"):
            found[cell.outcome] += cell.count
    return found


def answered(run: Run, after_s: float, before_s: float = float("inf")) -> set[str]:
    """The regions in which transactions were committed in seconds that lie within these times."""
    query = """
        SELECT DISTINCT region FROM transactions JOIN frames USING (frame)
        WHERE kind = 'ok' AND elapsed_s - 1 >= ? AND elapsed_s <= ?
    """
    return {region for (region,) in run.rows(query, after_s, before_s)}


def require_order(run: Run) -> None:
    """Every acknowledged order is there once, and none that was not acknowledged."""
    assert [f"{f.rule}: {f.detail} {f.witness}" for f in run.findings if not f.passed] == []
    assert len(run.findings) >= 12
    keys = [entry.idempotency_key for entry in run.journal()]
    assert len(keys) == len(set(keys)) > 20


def only_outage(run: Run) -> Outage:
    (found,) = summarise_run(run).outages
    return found


def require_told(out: str, run: Run, words: str) -> None:
    """The terminal, the report and the document have the outage."""
    lines = [line for line in out.splitlines() if words in line]
    assert len(lines) == 1, out
    assert len(out.splitlines()) <= 25
    assert lines[0] in (run.path / "report.md").read_text()
    document = json.loads((run.path / "summary.json").read_text())
    assert len(document["outages"]) == 1


@pytest.mark.parametrize("how", ["fast", "immediate"])
def test_a_restart_is_ridden_out(standing: Standing, start: Start, tmp_path: Path, how: str) -> None:
    """Longer than five seconds down: users come back by themselves, nobody has given up, the order book is whole."""
    play = start(scenario(tmp_path, 4, 12, keys='audit_every = "1s"'), "--url", standing.fresh(), "--no-distance")
    play.until(3)
    (standing.stop if how == "fast" else standing.kill)()
    play.until(9)
    standing.start()
    code, out, err = play.end()
    assert code in (0, 4), err + out
    with play.run() as run:
        require_order(run)
        outage = only_outage(run)
        assert outage.regions == run.manifest.regions
        assert 2 < outage.began_s < 5
        assert outage.ended_s > 8
        assert outage.is_over
        assert (outage.given_up, dict(failures(run))) == (0, {})
        assert outage.longest_wait_ms is not None
        assert outage.longest_wait_ms > 3000
        seen = reasons(run)
        assert outage.aborted == sum(seen[reason] for reason in LOST_CONNECTION)
        ended = {"admin_shutdown"} if how == "fast" else {"crash_shutdown", "connection_lost"}
        assert sum(seen[reason] for reason in ended) >= 4
        assert seen["connection_refused"] > 20
        # The back-off does not spin: a user is refused about four times a second.
        assert seen["connection_refused"] < 24 * 10 * (outage.ended_s - outage.began_s)
        assert answered(run, 5, 8) == set()
        assert answered(run, outage.ended_s + 1) == set(REGIONS)
        assert sum(cell.dropped for cell in run.arrivals) == 0
        kinds = Counter(event.kind for event in run.events)
        assert kinds["counters_missing"] == 1, "the end of the first phase fell into the outage"
        assert kinds["audit_missing"] >= 1
        assert {counter.moment for counter in run.counters} == {"start", "phase-1"}
        assert max(check.elapsed_s for check in run.checks) > outage.ended_s
        require_told(out, run, " s, all regions: no transaction given up")


def test_a_server_that_stays_away_ends_the_run(standing: Standing, start: Start, tmp_path: Path) -> None:
    play = start(scenario(tmp_path, 30, keys='give_up_after = "3s"'), "--url", standing.fresh(), "--no-distance")
    play.until(3)
    standing.stop()
    try:
        code, out, err = play.end()
    finally:
        standing.start()
    assert code == 3, err
    assert "cause: no answer and no connection for 3 s" in err
    assert "TARGET LOST" in out.splitlines()[0]
    with play.run() as run:
        assert 5 <= run.last_s < 12
        assert not only_outage(run).is_over
        require_told(out, run, " s on, all regions: ")


def test_users_of_a_lost_gateway_go_on_over_the_other(standing: Standing, start: Start, tmp_path: Path) -> None:
    """The gateway that is lost is the first of the first region, over which the audit would go, too."""
    url = standing.fresh()
    with Proxy(url) as lost, Proxy(url) as kept:
        gateways = [f"us-east={lost.through}", f"us-east={kept.through}"]
        gateways += [f"{region}={url}" for region in REGIONS[1:]]
        options = [word for gateway in gateways for word in ("--gateway", gateway)]
        play = start(scenario(tmp_path, 10), *options)
        play.until(3)
        before = (lost.connections, kept.connections)
        lost.refuse()
        code, out, err = play.end()
        came = kept.accepted
    assert code in (0, 4), err + out
    assert min(before) >= 3, "the users of a region are spread over its gateways"
    assert came >= sum(before) - 2, "those who lost theirs came over"
    with play.run() as run:
        require_order(run)
        outage = only_outage(run)
        assert outage.regions == ("us-east",)
        assert outage.given_up == 0
        assert failures(run) == {}
        assert reasons(run)["connection_lost"] >= 2
        assert {cell.region for cell in run.retries if cell.reason in LOST_CONNECTION} == {"us-east"}
        for second in range(4, 10):
            assert "us-east" in answered(run, second - 0.5, second + 1.5)
        require_told(out, run, ", us-east: no transaction given up")


@pytest.mark.parametrize("how", ["terminated", "reset"])
def test_all_connections_cut_at_once(standing: Standing, start: Start, tmp_path: Path, how: str) -> None:
    url = standing.fresh()
    with Proxy(url) as proxy:
        play = start(scenario(tmp_path, 8), "--url", proxy.through, "--no-distance")
        play.until(3)
        if how == "reset":
            proxy.cut()
        else:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'shopbench%'"
            standing.query("postgres", ended)
        code, out, err = play.end()
    assert code in (0, 4), err + out
    with play.run() as run:
        require_order(run)
        outage = only_outage(run)
        assert outage.given_up == 0
        assert failures(run) == {}
        # Users that were idle notice when they next have something to send.
        assert 12 <= outage.aborted <= 24 + 2
        reason = "connection_lost" if how == "reset" else "admin_shutdown"
        assert reasons(run)[reason] >= 12
        assert answered(run, 5) == set(REGIONS)
        require_told(out, run, "cut off at 3.")


def test_no_order_is_doubled_when_commits_lose_their_answers(standing: Standing, start: Start, tmp_path: Path) -> None:
    """Every tenth COMMIT reaches the server and is never answered: the order is looked up, and not placed again."""
    commits = 0
    lock = threading.Lock()

    def tenth(data: bytes) -> bool:
        nonlocal commits
        if b"\0COMMIT\0" not in data or b"Q\0" in data[:1]:
            return False
        with lock:
            commits += 1
            return commits % 10 == 0

    url = standing.fresh()
    with Proxy(url, cut_after=tenth) as proxy:
        play = start(scenario(tmp_path, 8), "--url", proxy.through, "--no-distance")
        code, out, err = play.end()
    assert code in (0, 4), err + out
    with play.run() as run:
        require_order(run)
        assert failures(run) == {}
        unknown = sum(
            cell.count for cell in run.retries if cell.statement == "COMMIT" and cell.reason in LOST_CONNECTION
        )
        assert unknown >= 10
        found = sum(c.count for c in run.statements if c.statement == "find_order")
        assert found >= 1


def test_an_order_of_unknown_fate_is_told_and_not_called_wrong(
    standing: Standing, start: Start, tmp_path: Path
) -> None:
    """A COMMIT is never answered, and until its buyer gives up nobody can be asked whether it happened."""
    armed = threading.Event()
    proxy = Proxy(standing.fresh())
    # What a client sends comes in a thread of its own: whether it has placed an order in its transaction.
    sent = threading.local()

    def vanish(data: bytes) -> bool:
        sent.order = b"\0insert_order\0" in data or (getattr(sent, "order", False) and b"\0BEGIN\0" not in data)
        if not (armed.is_set() and sent.order and b"\0COMMIT\0" in data):
            return False
        armed.clear()
        # What was sent is forwarded after this, and done; but nobody can ask.
        proxy.shut()
        threading.Timer(0.3, proxy.cut).start()
        return True

    proxy.cut_after = vanish
    with proxy:
        keys = 'give_up_after = "20s"\nretry.budget = "1s"'
        play = start(scenario(tmp_path, 10, keys=keys), "--url", proxy.through, "--no-distance")
        play.until(3)
        armed.set()
        play.until(7)
        proxy.allow()
        code, out, err = play.end()
    assert code in (0, 4), err + out
    with play.run() as run:
        require_order(run)
        lost = failures(run)
        assert lost["commit_unknown"] >= 1
        assert set(lost) <= LOST_CONNECTION | {"commit_unknown"}
        assert only_outage(run).given_up == sum(lost.values())
        events = [event for event in run.events if event.kind == "commit_unknown"]
        assert len(events) == lost["commit_unknown"]
        (complete,) = [finding for finding in run.findings if finding.rule == "journal_complete"]
        assert "1 more were under way" in complete.detail
        require_told(out, run, f"s, all regions: {sum(lost.values())} transactions given up")


def test_a_statement_timeout_is_a_failure_and_no_outage(standing: Standing, start: Start, tmp_path: Path) -> None:
    url = standing.fresh()
    play = start(scenario(tmp_path, 9, keys='statement_timeout = "1s"'), "--url", url, "--no-distance")
    play.until(2)
    with psycopg.connect(url) as other:
        other.execute("SELECT 1 FROM inventory FOR UPDATE")
        play.until(6)
        other.rollback()
    code, out, err = play.end()
    assert code in (0, 4), err + out
    with play.run() as run:
        require_order(run)
        assert set(failures(run)) == {"query_canceled"}
        lost = failures(run)["query_canceled"]
        assert lost >= 5
        summary = summarise_run(run)
        assert summary.outages == ()
        assert summary.total.response.censored == lost, "a time without an answer is at least so long"
        assert summary.total.response.p99_ms is not None
        assert summary.total.response.p99_ms > 900
        assert reasons(run)["query_canceled"] == lost
        assert answered(run, 7) == set(REGIONS)
    assert f"failures: query_canceled {lost}" in out


def test_a_disk_that_fills_up_during_the_audit(standing: Standing, start: Start, tmp_path: Path) -> None:
    """The load is over and stored; what the audit found cannot be kept: the command says so and the run stays readable."""
    import resource

    url = standing.fresh()
    quiet = '[[phases]]\nname = "quiet"\nduration = "3s"\n'
    path = Path(scenario(tmp_path, 3))
    path.write_text(path.read_text() + quiet)
    play = start(str(path), "--url", url, "--no-distance")
    play.until(5)
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE inventory IN ACCESS EXCLUSIVE MODE")
        _await_blocked(url, play)
        (store,) = (tmp_path / "runs").glob("*/run.sqlite-wal")
        full = store.stat().st_size
        resource.prlimit(play.process.pid, resource.RLIMIT_FSIZE, (full, full))
        other.rollback()
    code, out, err = play.end()
    assert code == 2, err + out
    assert f"error: cannot write to '{tmp_path}/runs/" in err
    assert "Traceback" not in err
    with play.run() as run:
        assert run.last_s >= 5
        assert sum(cell.count for cell in run.cells) > 0


def _await_blocked(url: str, play: Play) -> None:
    """Wait until what follows the load waits for the lock."""
    query = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    deadline = time.monotonic() + HANG_S
    with psycopg.connect(url, autocommit=True) as connection:
        while connection.execute(query).fetchone() == (0,):
            assert play.process.poll() is None, play.process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.02)


STEPPED = """
import os, time
real = time.time
time.time = lambda: real() - (7.0 if os.path.exists({stepped!r}) else 0.0)
from bench.cli import main
main()
"""


def test_a_step_of_the_clock_is_recorded_and_judged(standing: Standing, home: Path, tmp_path: Path) -> None:
    """The process's wall clock goes back by seven seconds in the middle of the run: only dates follow it."""
    path, stepped = scenario(tmp_path, 12), tmp_path / "stepped"
    program = STEPPED.format(stepped=str(stepped))
    command = [sys.executable, "-c", program, "run", path, "--url", standing.fresh(), "--no-distance"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        play = Play(process, tmp_path, home)
        play.until(3)
        stepped.touch()
        code, _, err = play.end()
    assert code in (0, 4), err
    with play.run() as run:
        require_order(run)
        (step,) = [event for event in run.events if event.kind == "clock_step"]
        assert step.detail == "the wall clock was set by -7 s"
        assert 3 <= step.elapsed_s <= 12
        assert run.last_s >= 12
        assert answered(run, 0, step.elapsed_s + 2) == set(REGIONS)
        summary = summarise_run(run)
        assert any("clock" in reason for reason in summary.validity.reasons), summary.validity
        assert summary.total.response.max_ms is not None
        assert summary.total.response.max_ms < 6000
        assert step.detail in (run.path / "report.md").read_text()


def test_several_workers_tell_of_one_outage(standing: Standing, start: Start, tmp_path: Path) -> None:
    play = start(scenario(tmp_path, 9), "--url", standing.fresh(), "--no-distance", "--workers", "2")
    play.until(3)
    standing.stop()
    standing.start()
    code, out, err = play.end()
    assert code in (0, 4), err + out
    with play.run() as run:
        require_order(run)
        assert len(run.workers) == 2
        outage = only_outage(run)
        assert outage.regions == run.manifest.regions
        assert outage.aborted == sum(count for reason, count in reasons(run).items() if reason in LOST_CONNECTION)
        assert failures(run) == {}
        require_told(out, run, " s, all regions: no transaction given up")


STRATEGIES = ("guarded", "pessimistic", "optimistic", "buckets", "skip_locked")
ISOLATIONS = ("read-committed", "serializable", "repeatable-read", "serializable", "read-committed")


def patient_sale(folder: Path) -> str:
    """The sale with users, a run and a drain that wait for a server that is slow to come back."""
    found, _ = find_scenario("flash-sale")
    patient = {"give_up_after": 120.0, "drain": 120.0, "retry": found.retry.model_copy(update={"budget": 120.0})}
    path = folder / "flash-sale.toml"
    path.write_text(to_toml(found.model_copy(update=patient)))
    return str(path)


@pytest.mark.parametrize(("strategy", "isolation"), list(zip(STRATEGIES, ISOLATIONS, strict=True)))
def test_a_correct_strategy_is_clean_across_a_restart(
    standing: Standing, start: Start, tmp_path: Path, strategy: str, isolation: str
) -> None:
    """The server is killed while the sale goes on, and comes back from its log."""
    path = patient_sale(tmp_path)
    sale = (path, "--scale", "tiny", "--duration", "9s", "--users", "60", "--set", "units_per_region=15")
    play = start(*sale, "--url", standing.fresh(), "--strategy", strategy, "--isolation", isolation, "--seed", "7")
    play.until(4)
    (standing.stop if isolation == "serializable" else standing.kill)()
    standing.start()
    code, out, err = play.end()
    assert code in (0, 4), err + out
    with play.run() as run:
        require_order(run)
        assert len(run.stock) == 12
        assert all(row.oversold == 0 and row.sold + row.left == row.offered == 15 for row in run.stock)
        sold = sum(row.sold for row in run.stock)
        assert sold > 20
        # One, but for a machine that stood still in it.
        outages = summarise_run(run).outages
        assert sum(outage.aborted for outage in outages) > 10
        assert answered(run, outages[-1].ended_s + 0.5) != set()
        opened = next(event.elapsed_s for event in run.events if event.kind == "sale_opens")
        assert outages[-1].ended_s > opened, "the restart was no part of the sale"
