"""Runs of several processes, as a user sees them: the same figures, no loss unseen, nothing left behind."""

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from tests_support import HANG_S, command

from bench.results.read import Run
from bench.target.supervisor import children, is_alive

from .conftest import Play, Start

pytestmark = pytest.mark.slow

Bench = Callable[..., "subprocess.CompletedProcess[str]"]

SCENARIO = """
name = "team"
question = "do more processes measure the same?"
users = 24
scale = "tiny"
on_lost_worker = "{lost}"
[workload]
user = "bench.workloads.flash_sale:FlashSaleUser"
settings = {{ units_per_region = 5000 }}
[[phases]]
name = "warm-up"
duration = "2s"
measured = false
rate = {{ browse = "10/s" }}
[[phases]]
name = "steady"
duration = "{seconds}s"
rate = {{ browse = "20/s", buy = "6/s" }}
"""


@pytest.fixture
def scenario(tmp_path: Path) -> Callable[..., str]:
    def write(*, seconds: int = 6, lost: str = "rebalance") -> str:
        path = tmp_path / "team.toml"
        path.write_text(SCENARIO.format(seconds=seconds, lost=lost))
        return str(path)

    return write


def workers_of(play: Play) -> list[int]:
    """The pids of the worker processes, in the order in which they were started."""
    found = [pid for pid in children(play.process.pid) if "--child" in _words(pid)]
    return sorted(found)


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def _until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + HANG_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def arrivals_of(run: Run, column: str = "offered") -> Counter[tuple[str, str, str]]:
    found: Counter[tuple[str, str, str]] = Counter()
    for phase, region, session, count in run.db.execute(f"SELECT phase, region, session, {column} FROM arrivals"):
        found[phase, region, session] += count
    return +found


def sessions_of(run: Run) -> Counter[tuple[str, str, str]]:
    """Sessions that were started, by what became of them."""
    query = "SELECT phase, region, name, count FROM transactions WHERE name LIKE 'session:%' AND outcome <> 'dropped'"
    found: Counter[tuple[str, str, str]] = Counter()
    for phase, region, name, count in run.db.execute(query):
        found[phase, region, name.removeprefix("session:")] += count
    return +found


def keys_of(run: Run) -> list[str]:
    """The shoppers' idempotency keys but for their last twelve digits, which are the run's."""
    return [entry.idempotency_key[:-12] for entry in run.journal()]


def scheduled(err: str) -> int:
    found = re.search(r"([\d,]+) arrivals", err)
    assert found, err
    return int(found[1].replace(",", ""))


def reasons(run: Run) -> str:
    assert run.validity is not None
    assert run.validity.verdict == "INVALID"
    return "\n".join(run.validity.reasons)


# -- the same figures


def test_one_and_four_workers_give_the_same_figures(start: Start, scenario: Callable[..., str]) -> None:
    """What is offered and what shoppers do is the same to the last arrival.

    Times are those of a shared machine, on which identical runs differ by half, and by anything where a measurement was not
    valid; a clock's offset left in, percentiles that are averaged or frames that are counted twice are off by more, or are
    counts, which have to be exact.
    """
    runs = {}
    for workers in (0, 1, 4):
        play = start(scenario(), "--no-distance", *(("--workers", str(workers)) if workers else ()))
        code, _, err = play.end()
        assert code in (0, 4), err
        folders = sorted((play.folder / "runs").iterdir())
        runs[workers] = (Run.open(folders[-1]), scheduled(err))
    plain, total = runs[0]
    offered = arrivals_of(plain)
    assert sum(offered.values()) == total
    keys = sorted(keys_of(plain))
    assert len(keys) > 20
    for workers, (run, _) in runs.items():
        assert run.status == "complete"
        assert arrivals_of(run) == offered, workers
        assert arrivals_of(run, "started") == offered
        assert sessions_of(run) == offered
        found = keys_of(run)
        assert len(set(found)) == len(found), "no arrival is played by two workers"
        assert sorted(found) == keys, "shoppers want the same, whoever plays them"
        assert all(finding.passed for finding in run.findings)
        names = {cell.worker for _, cell in run.generator}
        assert names == ({f"w{n}" for n in range(1, workers + 1)} if workers else {""})
        by_worker: dict[str, set[int]] = {}
        for elapsed_s, cell in run.generator:
            by_worker.setdefault(cell.worker, set()).add(round(elapsed_s))
        assert len({frozenset(seconds & set(range(1, 8))) for seconds in by_worker.values()}) == 1
        (events,) = [[event.kind for event in run.events if event.kind == "phase"]]
        assert events == ["phase", "phase"], "the timeline is marked once, not once a worker"
    medians = [_median_ms(run) for run, _ in runs.values() if run.validity.verdict != "INVALID"]
    assert not medians or max(medians) / min(medians) < 2, medians
    for run, _ in runs.values():
        run.close()


def _median_ms(run: Run) -> float:
    (total,) = (cell for key, cell in run.transactions(by=("phase",)).items() if key == ("steady",))
    value = total.service.percentile_ms(50)
    assert value is not None
    return value


def test_clocks_of_one_machine_are_found_to_be_one(start: Start, scenario: Callable[..., str]) -> None:
    play = start(scenario(seconds=2), "--no-distance", "--workers", "2")
    code, _, err = play.end()
    assert code in (0, 4), err
    with play.run() as run:
        rows = list(run.db.execute("SELECT worker, place, regions, offset_ns, rtt_ns, users, lost_s FROM workers"))
        manifest = run.manifest.workers
    assert [row[0] for row in rows] == ["w1", "w2"]
    for (_, place, regions, offset_ns, rtt_ns, users, lost_s), info in zip(rows, manifest, strict=True):
        # perf_counter is CLOCK_MONOTONIC, which all processes of one machine share: the true offset is zero.
        assert 0 < rtt_ns < 50_000_000
        assert abs(offset_ns) <= rtt_ns / 2
        assert (info.place, info.offset_ns, info.rtt_ns) == (place, offset_ns, rtt_ns)
        assert place.rpartition(":")[2].isdigit()
        assert regions.count(",") == 3
        assert users == 12
        assert lost_s is None


def test_a_closed_model_is_shared_out_as_well(start: Start, tmp_path: Path) -> None:
    (tmp_path / "closed.toml").write_text(
        """
name = "closed"
question = "how fast can twelve go?"
model = "closed"
users = 12
think_time = 0.05
scale = "tiny"
[workload]
user = "bench.workloads.flash_sale:FlashSaleUser"
[[phases]]
name = "only"
duration = "4s"
rate = { browse = "2/s", shop = "1/s" }
"""
    )
    play = start("closed.toml", "--no-distance", "--workers", "3")
    code, _, err = play.end()
    assert code in (0, 4), err
    with play.run() as run:
        assert arrivals_of(run, "started") == sessions_of(run)
        assert {region for _, region, _ in sessions_of(run)} == {"us-east", "us-west", "eu-west", "asia-pac"}
        found = keys_of(run)
        assert len(set(found)) == len(found), "no two users share their random numbers"
        assert all(finding.passed for finding in run.findings)


# -- losses


def test_the_others_take_over_from_a_worker_that_is_killed(start: Start, scenario: Callable[..., str]) -> None:
    play = start(scenario(seconds=9), "--no-distance", "--workers", "3")
    play.until(4)
    os.kill(workers_of(play)[1], signal.SIGKILL)
    code, out, err = play.end()
    assert code == 4, err
    assert out.startswith("INVALID")
    assert "was lost at" in err
    with play.run() as run:
        assert run.status == "complete"
        assert re.search(r"worker w2 was lost at \d+\.\d s .* took over its arrivals from \d+\.\d s", reasons(run))
        offered, started, dropped = (arrivals_of(run, name) for name in ("offered", "started", "dropped"))
        assert sum(offered.values()) == scheduled(err), "every arrival of the schedule is accounted for"
        assert offered == started + dropped
        assert 0 < sum(dropped.values()) < scheduled(err) / 4
        assert sessions_of(run) == started
        last = {}
        for elapsed_s, cell in run.generator:
            last[cell.worker] = elapsed_s
        assert last["w2"] < 7
        assert min(last["w1"], last["w3"]) > 10.5
        lost = dict(run.db.execute("SELECT worker, lost_s FROM workers"))
        assert lost["w2"] == pytest.approx(4.5, abs=2)
        assert lost["w1"] is None
        assert "worker_lost" in {event.kind for event in run.events}
        users = {cell.worker: cell.users for _, cell in run.generator}
        assert users["w1"] + users["w3"] == 24, "Locust has spawned its users elsewhere"
        assert all(finding.passed for finding in run.findings)
        assert len(set(keys_of(run))) == len(keys_of(run))


def test_a_scenario_may_stop_when_a_worker_is_lost(start: Start, scenario: Callable[..., str]) -> None:
    play = start(scenario(seconds=60, lost="stop"), "--no-distance", "--workers", "2")
    play.until(4)
    os.kill(workers_of(play)[0], signal.SIGKILL)
    code, _, err = play.end()
    assert code == 4, err
    with play.run() as run:
        assert run.status == "interrupted"
        assert "worker w1 was lost" in run.detail
        assert "the run was stopped" in reasons(run)
        assert 4 <= run.last_s < 30
        assert sum(sessions_of(run).values()) > 30
        assert all(finding.passed for finding in run.findings)


def test_the_last_worker_cannot_be_replaced(start: Start, scenario: Callable[..., str]) -> None:
    play = start(scenario(seconds=60), "--no-distance", "--workers", "1")
    play.until(3)
    os.kill(workers_of(play)[0], signal.SIGKILL)
    code, _, err = play.end()
    assert code == 4, err
    with play.run() as run:
        assert run.status == "interrupted"
        assert "no other worker serves the region" in reasons(run)
        assert sum(cell.count for cell in run.cells) > 0


def test_a_worker_that_stands_still_for_a_while_is_late(start: Start, scenario: Callable[..., str]) -> None:
    play = start(scenario(seconds=10), "--no-distance", "--workers", "2")
    play.until(3)
    pid = workers_of(play)[1]
    os.kill(pid, signal.SIGSTOP)
    # Three seconds: longer than frames are waited for, shorter than a worker is given up after.
    time.sleep(3.0)
    os.kill(pid, signal.SIGCONT)
    code, _, err = play.end()
    assert code == 4, err
    with play.run() as run:
        assert run.status == "complete"
        assert "worker w2 was late" in reasons(run)
        offered = arrivals_of(run)
        assert sum(offered.values()) == scheduled(err), "what came late is stored"
        assert sessions_of(run) == arrivals_of(run, "started")


def test_a_worker_that_stands_still_for_good_is_lost(start: Start, scenario: Callable[..., str]) -> None:
    play = start(scenario(seconds=14), "--no-distance", "--workers", "2")
    play.until(3)
    pid = workers_of(play)[1]
    os.kill(pid, signal.SIGSTOP)
    code, _, err = play.end()
    assert code == 4, err
    assert not is_alive(pid), "a stopped process is not left behind"
    with play.run() as run:
        assert "it was not heard of any more" in reasons(run)
        offered, started, dropped = (arrivals_of(run, name) for name in ("offered", "started", "dropped"))
        assert sum(offered.values()) == scheduled(err)
        assert offered == started + dropped
        assert sessions_of(run) == started


def test_a_killed_coordinator_leaves_no_worker_and_a_readable_store(
    start: Start, scenario: Callable[..., str], bench: Bench
) -> None:
    play = start(scenario(seconds=60), "--no-distance", "--workers", "2")
    play.until(3)
    running, stopped = workers_of(play)
    os.kill(stopped, signal.SIGSTOP)
    play.process.kill()
    play.process.wait()
    _until(lambda: not is_alive(running) and not is_alive(stopped))
    done = bench("report", "last")
    assert done.returncode == 0, done.stderr
    assert "KILLED" in done.stdout.splitlines()[0]  # beside other work also DEGRADED


def test_ctrl_c_ends_all_workers_in_order(start: Start, scenario: Callable[..., str]) -> None:
    play = start(scenario(seconds=60), "--no-distance", "--workers", "2")
    play.until(4)
    pids = workers_of(play)
    assert len(pids) == 2
    play.process.send_signal(signal.SIGINT)
    code, out, err = play.end()
    assert code == 130, err
    assert "interrupted" in out.lower()
    assert "lost" not in err
    assert not any(is_alive(pid) for pid in pids)
    with play.run() as run:
        assert run.status == "interrupted"
        assert arrivals_of(run, "started") == sessions_of(run)
        assert all(finding.passed for finding in run.findings)
        assert [event.kind for event in run.events].count("interrupted") == 1


def test_what_a_worker_raises_ends_the_run_with_its_words(start: Start, tmp_path: Path) -> None:
    (tmp_path / "breaking.py").write_text(
        "from bench.workloads.flash_sale import FlashSaleUser\n"
        "class Breaking(FlashSaleUser):\n"
        "    abstract = True\n"
        "    sessions = {'browse': 'break_down'}\n"
        "    def break_down(self, rng):\n"
        "        raise ValueError('seven is too many')\n"
    )
    text = SCENARIO.format(seconds=20, lost="rebalance").replace(
        "bench.workloads.flash_sale:FlashSaleUser", "breaking:Breaking"
    )
    (tmp_path / "breaking.toml").write_text(text.replace(', buy = "6/s"', ""))
    play = start("breaking.toml", "--no-distance", "--workers", "2")
    code, _, err = play.end()
    assert code == 5, err
    assert re.search(r"worker w[12]: ValueError: seven is too many", err)
    with play.run() as run:
        assert run.status == "crashed"


# -- workers from elsewhere


@pytest.fixture
def shop(fresh_database: str, bench: Bench) -> str:
    """The URL, with its password, of a seeded database that is not the run's own embedded one."""
    done = bench("seed", "--url", fresh_database, "--scale", "tiny", "--variant", "pg")
    assert done.returncode == 0, done.stderr
    return fresh_database


@pytest.fixture
def join(home: Path, tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Start ``bench worker`` by hand."""
    started = []

    def begin(*arguments: str, prefix: Sequence[str] = (), **environment: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [*prefix, command(), "worker", *arguments],
            cwd=tmp_path,
            env={**os.environ, "BENCH_HOME": str(home), "NO_COLOR": "1", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


AHEAD_S = 1000


def another_clock() -> list[str]:
    """What starts a process whose monotonic clock is ahead of ours, as another machine's is: a time namespace of Linux."""
    words = ["unshare", "--user", "--map-root-user", "--time", "--monotonic", str(AHEAD_S)]
    try:
        subprocess.run([*words, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this system does not let us make a time namespace")
    return words


def test_the_clock_of_another_machine_is_corrected_for(
    start: Start, join: Callable[..., "subprocess.Popen[str]"], scenario: Callable[..., str], shop: str
) -> None:
    address = f"127.0.0.1:{free_port()}"
    far = join("--master", address, "--name", "far", "--url", shop, prefix=another_clock())
    play = start(
        scenario(), "--url", shop, "--no-distance", "--workers", "1", "--remote-workers", "1", "--bind", address
    )
    code, _, err = play.end()
    assert code in (0, 4), err
    assert far.wait(HANG_S) == 0
    with play.run() as run:
        clocks = {row[0]: row[1:] for row in run.db.execute("SELECT worker, offset_ns, rtt_ns FROM workers")}
        offset_ns, rtt_ns = clocks["far"]
        assert abs(offset_ns - AHEAD_S * 1_000_000_000) <= rtt_ns / 2
        assert abs(clocks["w1"][0]) <= clocks["w1"][1] / 2
        # It began when the other did, its frames are those of the same seconds, and its samples are dated as theirs.
        assert sum(arrivals_of(run).values()) == scheduled(err)
        assert sessions_of(run) == arrivals_of(run)
        seconds: dict[str, set[int]] = {}
        for elapsed_s, cell in run.generator:
            seconds.setdefault(cell.worker, set()).add(round(elapsed_s))
        assert set(range(1, 8)) <= seconds["far"] & seconds["w1"]
        assert all(entry.elapsed_s < run.last_s + 1 for entry in run.journal())
        assert all(sample.elapsed_s < run.last_s + 1 for sample in run.slow())
        assert "was late" not in " ".join(run.validity.reasons if run.validity else ())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def without_password(url: str) -> tuple[str, str]:
    parts = conninfo_to_dict(url)
    password = str(parts.pop("password"))
    return make_conninfo("", **parts), password


def test_workers_bound_to_regions_join_from_elsewhere_with_passwords_of_their_own(
    start: Start, join: Callable[..., "subprocess.Popen[str]"], scenario: Callable[..., str], shop: str
) -> None:
    bare, password = without_password(shop)
    address = f"127.0.0.1:{free_port()}"
    far = join("--master", address, "--regions", "eu-west,asia-pac", "--name", "far", PGPASSWORD=password)
    own = join("--master", address, "--regions", "us-east", "--name", "own", "--url", shop)
    play = start(
        scenario(), "--url", shop, "--no-distance", "--workers", "1", "--remote-workers", "2", "--bind", address
    )
    play.until(3)
    (child,) = workers_of(play)
    # Not in the command line nor in the environment of the child, which every account of the machine may read.
    assert password not in " ".join(_words(child))
    assert password not in Path(f"/proc/{child}/environ").read_text(errors="replace")
    code, out, err = play.end()
    assert code in (0, 4), err
    for process in (far, own):
        said = process.communicate(timeout=HANG_S)
        assert process.returncode == 0, said
        assert password not in "".join(said)
        assert "ended     complete" in said[1]
    with play.run() as run:
        regions = dict(run.db.execute("SELECT worker, regions FROM workers"))
        assert set(regions["far"].split(",")) == {"eu-west", "asia-pac"}
        assert regions["own"] == "us-east"
        assert set(regions["w1"].split(",")) == {"us-east", "us-west", "eu-west", "asia-pac"}
        assert sum(arrivals_of(run).values()) == scheduled(err)
        assert sessions_of(run) == arrivals_of(run)
        assert all(finding.passed for finding in run.findings)
        folder = run.path
    assert password not in out + err
    for file in folder.iterdir():
        assert password.encode() not in file.read_bytes(), file.name
    assert bare not in json.dumps(json.loads((folder / "manifest.json").read_text())) or "password" not in bare


def test_a_worker_that_cannot_reach_the_database_says_so_on_both_sides(
    start: Start, join: Callable[..., "subprocess.Popen[str]"], scenario: Callable[..., str], shop: str
) -> None:
    address, closed = f"127.0.0.1:{free_port()}", free_port()
    away = join("--master", address, "--name", "away", "--url", f"postgresql://shop@127.0.0.1:{closed}/shop")
    play = start(scenario(), "--url", shop, "--no-distance", "--remote-workers", "1", "--bind", address)
    code, _, err = play.end()
    said = away.communicate(timeout=HANG_S)[1]
    place = f"cannot reach database 'shop' on 127.0.0.1:{closed}"
    assert away.returncode == 3, said
    assert f"error: {place}" in said
    assert code == 3
    assert f"error: worker away: {place}" in err
    assert "Traceback" not in said + err


def test_a_worker_for_a_region_that_is_not_there_is_refused_and_another_taken(
    start: Start, join: Callable[..., "subprocess.Popen[str]"], scenario: Callable[..., str], shop: str
) -> None:
    address = f"127.0.0.1:{free_port()}"
    play = start(scenario(seconds=3), "--url", shop, "--no-distance", "--remote-workers", "1", "--bind", address)
    wrong = join("--master", address, "--regions", "mars")
    said = wrong.communicate(timeout=HANG_S)[1]
    assert wrong.returncode == 2, said
    lines = [line for line in said.splitlines() if line.startswith(("error:", "cause:", "hint:"))]
    assert "region 'mars' is not in this run" in lines[0]
    right = join("--master", address, "--url", shop)
    code, _, err = play.end()
    assert code in (0, 4), err
    assert right.wait(HANG_S) == 0
    assert "refused" in err
    with play.run() as run:
        assert [name for (name,) in run.db.execute("SELECT worker FROM workers")] == ["r1"]


def test_nothing_listens(bench: Bench) -> None:
    port = free_port()
    done = bench("worker", "--master", f"127.0.0.1:{port}", "--wait", "1s")
    assert done.returncode == 3
    lines = done.stderr.splitlines()
    assert lines[0] == f"error: nothing listens on 127.0.0.1:{port}"
    assert [line.split(":")[0] for line in lines] == ["error", "cause", "hint"]


def test_a_worker_whose_coordinator_is_gone_gives_up(
    start: Start, join: Callable[..., "subprocess.Popen[str]"], scenario: Callable[..., str], shop: str
) -> None:
    address = f"127.0.0.1:{free_port()}"
    far = join("--master", address, "--name", "far", "--url", shop)
    play = start(scenario(seconds=60), "--url", shop, "--no-distance", "--remote-workers", "1", "--bind", address)
    play.until(3)
    play.process.kill()
    play.process.wait()
    said = far.communicate(timeout=HANG_S)[1]
    assert far.returncode == 3, said
    assert f"error: the coordinator on {address} is gone" in said
