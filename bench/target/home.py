"""Where bench keeps its own servers, as whom they run, and which slot of that folder is ours.

May import only ``errors``.  A slot is a numbered folder with one cluster in it; whoever holds the lock on its
lock file may run a server there, so two bench processes never share one.
"""

import contextlib
import errno
import fcntl
import os
import pwd
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.errors import TargetError

_ACCOUNT_NAME = "nobody"
_HINT = "set BENCH_HOME to a folder that suits, e.g. BENCH_HOME=/var/tmp/shopbench"
_MAX_SLOTS = 64
# The supervisor needs at most 15 s to end a server whose bench died.
_GRACE_S = 15.0
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Account:
    """The account that PostgreSQL runs as, since it refuses to run as root."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Slot:
    """A claimed slot: the lock is held until the last process that inherited ``lock_fd`` has ended."""

    number: int
    folder: Path
    lock_fd: int

    @property
    def data_dir(self) -> Path:
        """The cluster."""
        return self.folder / "data"

    @property
    def log_path(self) -> Path:
        """The server's log of this start."""
        return self.folder / "server.log"

    @property
    def password_path(self) -> Path:
        """The superuser's password, readable by its owner only."""
        return self.folder / "password"

    def write_password(self, password: str, account: Account | None) -> None:
        """Replace the password file, for ``account`` to read; OSError where that fails."""
        self.password_path.unlink(missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(self.password_path, flags, 0o600), "w", encoding="ascii") as file:
            if account is not None:
                os.fchown(file.fileno(), account.uid, account.gid)
            file.write(password + "\n")

    def release(self) -> None:
        """Give up this process's share of the lock."""
        # Not LOCK_UN: that would also take the lock away from a server that still runs.
        os.close(self.lock_fd)


def bench_home() -> Path:
    """Return the folder for everything that bench keeps, which need not exist."""
    chosen = os.environ.get("BENCH_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    if os.geteuid() == 0:
        return Path("/var/lib/shopbench")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "shopbench"
    data_home = os.environ.get("XDG_DATA_HOME")
    return (Path(data_home) if data_home else Path.home() / ".local" / "share") / "shopbench"


def server_account() -> Account | None:
    """Return the account to drop to, None when not root; TargetError when root has none to drop to."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(_ACCOUNT_NAME)
    except KeyError:
        raise TargetError(
            f"no account '{_ACCOUNT_NAME}', which runs the server for root",
            hint="run bench as an ordinary user, or pass --url",
        ) from None
    return Account(_ACCOUNT_NAME, entry.pw_uid, entry.pw_gid)


def prepare_home(home: Path, account: Account | None) -> Path:
    """Create ``home`` where it is missing and return it resolved.

    TargetError when it cannot be written, or when ``account`` cannot reach what is in it.
    """
    with _home_errors(home):
        make_folder(home, account)
        resolved = home.resolve()
    if not os.access(resolved, os.W_OK | os.X_OK):
        raise TargetError(f"cannot write to '{resolved}'", hint=_HINT)
    barrier = None if account is None else _first_barrier(resolved, account)
    if account is not None and barrier is not None:
        raise TargetError(
            f"'{barrier}' keeps out the account '{account.name}', which runs the server for root",
            hint=_HINT,
        )
    return resolved


def make_folder(path: Path, account: Account | None) -> None:
    """Create a folder and its missing parents, which ``account`` can enter; OSError where it cannot be."""
    if path.is_dir():
        return
    make_folder(path.parent, account)
    try:
        path.mkdir()
    except FileExistsError:
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
        return
    # Only folders of our own making are opened up, whatever the umask is: a parent's mode is its owner's decision.
    path.chmod(0o700 if account is None else 0o755)


def claim_slot(folder: Path, account: Account | None, grace_s: float = _GRACE_S) -> Slot:
    """Lock the first free slot of ``folder`` and create it where it is missing; TargetError when none is to be had.

    ``grace_s`` is how long to wait for a slot whose bench has died but whose server is still shutting down.
    """
    for number in range(_MAX_SLOTS):
        slot_folder = folder / str(number)
        with _home_errors(slot_folder):
            make_folder(slot_folder, account)
            lock_fd = _claim_lock(slot_folder / "lock", grace_s)
        if lock_fd is not None:
            return Slot(number, slot_folder, lock_fd)
    raise TargetError(f"all {_MAX_SLOTS} server slots in '{folder}' are in use", hint=_HINT)


def _claim_lock(path: Path, grace_s: float) -> int | None:
    lock_fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + grace_s
    while not _lock(lock_fd):
        # A slot that is about to be free is worth a wait: the next one may have no data yet.
        if _owner_is_alive(lock_fd) or time.monotonic() >= deadline:
            os.close(lock_fd)
            return None
        time.sleep(_POLL_S)
    os.ftruncate(lock_fd, 0)
    os.pwrite(lock_fd, str(os.getpid()).encode(), 0)
    return lock_fd


def _lock(lock_fd: int) -> bool:
    try:
        fcntl.flock(lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _owner_is_alive(lock_fd: int) -> bool:
    owner = os.pread(lock_fd, 32, 0)
    if not owner.isdigit():
        return False
    try:
        os.kill(int(owner), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _first_barrier(path: Path, account: Account) -> Path | None:
    for folder in [*reversed(path.parents), path]:
        if not _may_enter(folder, account):
            return folder
    return None


def _may_enter(folder: Path, account: Account) -> bool:
    state = folder.stat()
    if state.st_uid == account.uid:
        return bool(state.st_mode & 0o100)
    if state.st_gid == account.gid:
        return bool(state.st_mode & 0o010)
    return bool(state.st_mode & 0o001)


@contextlib.contextmanager
def _home_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TargetError(f"cannot write to '{path}'", cause=error.strerror, hint=_HINT) from None
