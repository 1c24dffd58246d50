"""A PostgreSQL server of our own: created, started, watched and stopped here.

May import only ``errors`` and its neighbours ``binaries`` and ``home``; no database driver, so that the order in which
gevent and the driver are imported stays the caller's.
"""

import contextlib
import errno
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote

from bench.errors import TargetError
from bench.target import supervisor
from bench.target.binaries import Binaries, find_binaries, run_initdb
from bench.target.home import Account, Slot, claim_slot, prepare_home, server_account
from bench.target.supervisor import children, is_alive

EMBEDDED_DIALECT: Literal["postgres"] = "postgres"
_HOST = "127.0.0.1"
_USER = "postgres"
_PORT_ATTEMPTS = 5
_POLL_S = 0.005
_STOP_TIMEOUT_S = 30.0
_STATUS_LINE = 7
_FATAL = re.compile(r"(?:FATAL|PANIC): +(.*)")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """How to start a server: its settings by name, a fixed port or None for any, and the seconds it may take.

    ``libraries`` are preloaded where the installation has them; some packages of PostgreSQL come without.
    """

    settings: Mapping[str, str]
    port: int | None = None
    start_timeout_s: float = 30.0
    libraries: tuple[str, ...] = ()


class EmbeddedServer:
    """A running server on the loopback; leaving the ``with`` block stops it and keeps its data.

    It ends with this process, however this process ends.
    """

    host = _HOST

    def __init__(self, slot: Slot, binaries: Binaries, account: Account | None) -> None:
        self.binaries = binaries
        self.slot = slot.number
        self.data_dir = slot.data_dir
        self.log_path = slot.log_path
        self.port = 0
        self.pid = 0
        self._claim = slot
        self._account = account
        self._password = ""
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._owner_pid = os.getpid()

    @classmethod
    def start(cls, home: Path, options: ServerOptions) -> "EmbeddedServer":
        """Start a server in the first free slot of ``home`` and return when it accepts connections.

        A slot keeps its data; a new one is initialised.  TargetError when that is impossible.
        """
        account = server_account()
        home = prepare_home(home, account)
        binaries = find_binaries(home, account)
        slot = claim_slot(home / f"postgres-{binaries.major}", account)
        server = cls(slot, binaries, account)
        try:
            server._password = _ensure_cluster(slot, binaries, account)
            server._start(options)
        except BaseException:
            server._end()
            slot.release()
            raise
        return server

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        # By hand, so that the password can never be part of it.
        return f"<EmbeddedServer {self.safe_url()} slot {self.slot} pid {self.pid}>"

    def url(self, database: str = "postgres") -> str:
        """Return the address with the password; never print it, ``safe_url`` is for that."""
        return f"postgresql://{_USER}:{self._password}@{self.host}:{self.port}/{quote(database, safe='')}"

    def safe_url(self, database: str = "postgres") -> str:
        """Return the address without the password."""
        return f"postgresql://{_USER}@{self.host}:{self.port}/{quote(database, safe='')}"

    def is_running(self) -> bool:
        """Tell whether the server's first process lives."""
        return self._supervisor is not None and is_alive(self.pid)

    def processes(self) -> list[int]:
        """Return the pids of the server's first process and its children; empty when it has ended."""
        return [self.pid, *children(self.pid)] if self.is_running() else []

    def stop(self) -> None:
        """Shut the server down, breaking its connections, and wait for its end; does nothing the second time."""
        # A forked worker inherits this object, but the server is its parent's.
        if self._supervisor is None or os.getpid() != self._owner_pid:
            return
        self._end()
        self._claim.release()

    def _end(self) -> None:
        process, self._supervisor = self._supervisor, None
        if process is not None:
            _end_supervisor(process)
        if self.pid and is_alive(self.pid):
            _end_orphan(self.pid, self.data_dir)

    def _start(self, options: ServerOptions) -> None:
        for attempt in range(1, _PORT_ATTEMPTS + 1):
            self.port = options.port or _free_port()
            try:
                self._start_on_port(options)
                return
            except TargetError:
                self._end()
                if not _is_port_clash(self.log_path):
                    raise
                # A free port may be taken between our look and the server's bind.
                if options.port is not None or attempt == _PORT_ATTEMPTS:
                    raise _port_taken(self.port) from None

    def _start_on_port(self, options: ServerOptions) -> None:
        # As we hold the slot's lock, which a server holds to its end, this is what a killed one left behind.  The next
        # would take it for a live rival if the pid is another process's by now, or a zombie's that nobody reaps.
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
        deadline = time.monotonic() + options.start_timeout_s
        process = _spawn(self._claim, self._account, self.binaries, self._arguments(options))
        self._supervisor = process
        assert process.stdout is not None
        with process.stdout:
            self.pid = int(process.stdout.readline() or 0)
        while not _is_ready(self.data_dir, self.pid):
            if process.poll() is not None:
                raise self._failure("the embedded server did not start")
            if time.monotonic() > deadline:
                raise self._failure(f"the embedded server was not ready after {options.start_timeout_s:g} s")
            time.sleep(_POLL_S)

    def _arguments(self, options: ServerOptions) -> list[str]:
        # Ours come last, as the last one counts.  No Unix socket: its path has a length limit of about 100 bytes.
        libraries = ",".join(name for name in options.libraries if self.binaries.has_library(name))
        settings = {
            **options.settings,
            **({"shared_preload_libraries": libraries} if libraries else {}),
            "listen_addresses": self.host,
            "port": str(self.port),
            "unix_socket_directories": "",
            "logging_collector": "off",
            "log_destination": "stderr",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return ["-D", str(self.data_dir), *flags]

    def _failure(self, message: str) -> TargetError:
        hint = f"read {self.log_path}, or remove {self._claim.folder} to begin with an empty server"
        return TargetError(message, cause=_last_words(self.log_path), hint=hint)


def _spawn(
    slot: Slot, account: Account | None, binaries: Binaries, arguments: Sequence[str]
) -> subprocess.Popen[bytes]:
    identity = "-" if account is None else f"{account.uid}:{account.gid}"
    # -P: a module beside the script must not shadow one of the standard library.
    python = [sys.executable, "-S", "-E", "-P", str(Path(supervisor.__file__))]
    with contextlib.suppress(FileNotFoundError):
        slot.log_path.replace(slot.log_path.with_suffix(".previous.log"))
    log = os.open(slot.log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        return subprocess.Popen(
            [*python, str(slot.lock_fd), identity, str(binaries.bin_dir / "postgres"), *arguments],
            cwd=slot.folder,
            env=binaries.environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=(slot.lock_fd,),
            start_new_session=True,
        )
    finally:
        os.close(log)


def _end_supervisor(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    # The byte besides the end of file: a worker forked off us may hold the pipe open.
    with contextlib.suppress(OSError):
        os.write(process.stdin.fileno(), b"\n")
    process.stdin.close()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _end_orphan(pid: int, data_dir: Path) -> None:
    """End a server whose supervisor was killed, which only Linux does by itself."""
    for number, wait_s in supervisor.STEPS:
        if _status(data_dir)[:1] != [str(pid)]:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + (wait_s or 1.0)
        while is_alive(pid) and time.monotonic() < deadline:
            time.sleep(_POLL_S)


def _ensure_cluster(slot: Slot, binaries: Binaries, account: Account | None) -> str:
    """Return the password of the slot's cluster, which is created when it is missing or of another major version."""
    if _cluster_major(slot.data_dir) == str(binaries.major):
        try:
            return slot.password_path.read_text(encoding="ascii").strip()
        except OSError as error:
            hint = f"remove {slot.folder} to begin with an empty server"
            raise TargetError(f"cannot read '{slot.password_path}'", cause=error.strerror, hint=hint) from None
    for leftover in [slot.data_dir, *slot.folder.glob("initdb-*")]:
        shutil.rmtree(leftover, ignore_errors=True)
    password = secrets.token_hex(24)
    try:
        slot.write_password(password, account)
        _create_cluster(slot, binaries, account)
    except OSError as error:
        raise TargetError(f"cannot write to '{slot.folder}'", cause=error.strerror) from None
    return password


def _cluster_major(data_dir: Path) -> str | None:
    try:
        return (data_dir / "PG_VERSION").read_text(encoding="ascii").strip()
    except OSError:
        return None


def _create_cluster(slot: Slot, binaries: Binaries, account: Account | None) -> None:
    # Beside, then renamed: a run that is killed here leaves no half cluster that looks whole.
    scratch = Path(tempfile.mkdtemp(prefix="initdb-", dir=slot.folder))
    try:
        if account is not None:
            os.chown(scratch, account.uid, account.gid)
        run_initdb(binaries, scratch, slot, account)
        scratch.rename(slot.data_dir)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _port_taken(port: int) -> TargetError:
    return TargetError(f"port {port} on {_HOST} is taken", hint="choose another port, or none to have a free one")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_port_clash(log_path: Path) -> bool:
    return "could not bind" in _log_text(log_path) and os.strerror(errno.EADDRINUSE) in _log_text(log_path)


def _last_words(log_path: Path) -> str | None:
    """Return the server's last fatal message, else the last line of its log."""
    lines = [line for line in _log_text(log_path).splitlines() if line.strip()]
    fatal = [match[1] for match in map(_FATAL.search, lines) if match]
    return next(reversed(fatal or lines), None)


def _log_text(log_path: Path) -> str:
    try:
        return log_path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _status(data_dir: Path) -> list[str]:
    """Return the lines of the server's status file; the first is its pid."""
    try:
        return (data_dir / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def _is_ready(data_dir: Path, pid: int) -> bool:
    lines = _status(data_dir)
    return len(lines) > _STATUS_LINE and lines[0] == str(pid) and lines[_STATUS_LINE].strip() == "ready"
