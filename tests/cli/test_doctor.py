"""``bench doctor`` finds what was planted, says what to do next, and its exit code says whether a run can work."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests_support import command

from bench.cli import doctor_checks
from bench.cli.doctor_checks import disk, open_files, packages
from bench.cli.doctor_machine import cpu_limit, frequency, stolen, timers

from ..conftest import Bench


def plant(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.slow
def test_where_everything_is_there_it_says_so(bench: Bench, home: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "docker"
    plant(tmp_path, {"bin/docker": '#!/bin/sh\n[ "$1" = compose ] && echo 4.5.6 || echo 1.2.3\n'})
    program.chmod(0o755)
    done = bench("doctor", PATH=f"{program.parent}:/usr/bin:/bin")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = {line[9:].split("  ")[0].strip(): line for line in done.stdout.splitlines() if line[:1] != " "}
    assert lines["python"].startswith("ok ")
    assert "psycopg 3." in lines["packages"]
    assert "PostgreSQL 18" in lines["embedded server"]
    assert f"started in {home}" in lines["embedded server"]
    assert lines["docker"].split(maxsplit=2) == ["ok", "docker", "engine 1.2.3, compose 4.5.6"]


def test_what_is_missing_is_named_with_a_next_step(home: Path, tmp_path: Path) -> None:
    script = f'ulimit -n 200; exec "{command()}" doctor --format json'
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    done = subprocess.run(
        ["/bin/bash", "-c", script],
        env={**os.environ, "BENCH_HOME": str(blocked / "home"), "PATH": "/nowhere"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert (checks["docker"]["state"], checks["docker"]["stops_a_run"]) == ("note", False)
    assert "install Docker" in checks["docker"]["next_step"]
    assert (checks["open files"]["state"], checks["open files"]["stops_a_run"]) == ("missing", True)
    assert checks["open files"]["found"].startswith("200 ")
    assert "ulimit -n" in checks["open files"]["next_step"]
    assert (checks["embedded server"]["state"], checks["embedded server"]["stops_a_run"]) == ("missing", True)
    assert str(blocked) in checks["embedded server"]["found"]
    assert checks["python"]["state"] == "ok"
    assert all(check["next_step"] or check["state"] == "ok" for check in checks.values())


@pytest.mark.parametrize(
    ("soft", "state", "stops"),
    [(255, "missing", True), (256, "note", False), (1023, "note", False), (1024, "ok", False)],
)
def test_open_files(monkeypatch: pytest.MonkeyPatch, soft: int, state: str, stops: bool) -> None:
    monkeypatch.setattr(doctor_checks.resource, "getrlimit", lambda _: (soft, 4096))
    check = open_files()
    assert (check.state, check.stops_a_run) == (state, stops)
    assert check.found == f"{soft:,} (up to 4,096)"


@pytest.mark.parametrize(("free", "state"), [(2**30 - 1, "missing"), (2**30, "note"), (5 * 2**30, "ok")])
def test_disk_of_a_folder_that_is_not_there_yet(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: str
) -> None:
    asked: list[Path] = []

    class Usage:
        def __init__(self, path: Path) -> None:
            asked.append(path)
            self.free = free

    monkeypatch.setattr(doctor_checks.shutil, "disk_usage", Usage)
    assert disk(tmp_path / "not" / "there").state == state
    assert asked == [tmp_path]


def test_packages_that_are_missing_or_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [
        "click>=99",
        "no-such-thing>=1",
        "numpy",
        "absent; sys_platform == 'nowhere'",
        "pyarrow>=999; extra == 'x'",
    ]
    monkeypatch.setattr(doctor_checks.metadata, "requires", lambda _: wanted)
    (check,) = packages()
    assert check.stops_a_run
    click, absent = check.found.split("; ")
    assert click.startswith("click is 8.")
    assert click.endswith("wanted >=99")
    assert absent == "no-such-thing is not installed"
    assert check.next_step == "pip install --upgrade . in the checkout of shopbench"


CGROUP2 = "0::/system.slice/bench.service\n"


@pytest.mark.parametrize(
    ("files", "found", "has_step"),
    [
        ({}, "none", False),
        ({"proc/self/cgroup": CGROUP2, "sys/fs/cgroup/cpu.max": "max 100000"}, "none", False),
        # A limit of a group further up holds for those in it.
        (
            {
                "proc/self/cgroup": CGROUP2,
                "sys/fs/cgroup/system.slice/bench.service/cpu.max": "max 100000",
                "sys/fs/cgroup/system.slice/cpu.max": "50000 100000\n",
            },
            "0.5 cores",
            True,
        ),
        # Inside a container the group is the root of what it sees.
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "25600000 100000"}, "256 cores", False),
        (
            {
                "proc/self/cgroup": "3:memory:/a\n2:cpuacct,cpu:/docker/a\n",
                "sys/fs/cgroup/cpu/docker/a/cpu.cfs_quota_us": "-1\n",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "75000\n",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            },
            "0.75 cores",
            True,
        ),
    ],
)
def test_the_limit_of_a_container(tmp_path: Path, files: Mapping[str, str], found: str, has_step: bool) -> None:
    fact = cpu_limit(plant(tmp_path, files))
    assert (fact.found, bool(fact.next_step)) == (found, has_step)


def test_clock_sources_that_are_slow_to_read(tmp_path: Path) -> None:
    name = "sys/devices/system/clocksource/clocksource0/current_clocksource"
    assert "clock source tsc" in timers(plant(tmp_path, {name: "tsc\n"})).found
    slow = timers(plant(tmp_path, {name: "hpet\n"}))
    assert "clock source hpet is slow to read" in slow.next_step
    assert ("no timerfd" not in slow.found) == (sys.platform == "linux")


def test_cores_that_change_their_frequency(tmp_path: Path) -> None:
    name = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"
    assert frequency(tmp_path).found == "not visible from here"
    assert not frequency(plant(tmp_path, {name: "performance\n"})).next_step
    assert "governor powersave" in frequency(plant(tmp_path, {name: "powersave\n"})).found


def test_time_that_others_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "proc/stat"
    plant(tmp_path, {name: "cpu  100 0 0 900 0 0 0 0 50 0\ncpu0 1 1\n"})
    assert stolen(tmp_path / "none").found == "not known here"
    later = "cpu  140 0 0 950 0 0 0 10 60 0\n"
    monkeypatch.setattr("bench.cli.doctor_machine.time.sleep", lambda _: (tmp_path / name).write_text(later))
    fact = stolen(tmp_path)
    assert fact.found == "10.0 %"
    assert fact.next_step
