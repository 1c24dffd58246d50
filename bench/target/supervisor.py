"""Keeps one server alive exactly as long as the pipe from bench, which runs this file as a script.

May import the standard library only: it runs without site-packages so that it starts in milliseconds.

    python supervisor.py LOCK_FD UID:GID|- POSTGRES [ARGUMENT...]

It writes the server's pid to standard output.  Any byte, or the end of file, on standard input means stop: bench is
done, or has died in whatever way.  It exits with the server's status once the server has ended.
"""

import contextlib
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence

# Fast shutdown, then immediate shutdown, then the end; each with the seconds it may take.
STEPS: Sequence[tuple[signal.Signals, float | None]] = (
    (signal.SIGINT, 10.0),
    (signal.SIGQUIT, 5.0),
    (signal.SIGKILL, None),
)
_PR_SET_PDEATHSIG = 1


def end(child: subprocess.Popen[bytes], steps: Sequence[tuple[signal.Signals, float | None]] = STEPS) -> None:
    """Signal the child with growing force until it has ended."""
    for number, wait_s in steps:
        if child.poll() is not None:
            return
        child.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(wait_s)


def is_alive(pid: int) -> bool:
    """Tell whether a process exists and has not ended."""
    try:
        state = _read_proc(f"{pid}/stat").rpartition(") ")[2][:1]
    except OSError:
        if sys.platform.startswith("linux"):
            return False
    else:
        # An init process that does not reap, as in many containers, leaves zombies.
        return state not in ("Z", "X")
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def children(pid: int) -> list[int]:
    """Return the pids of a process's children."""
    try:
        return [int(child) for child in _read_proc(f"{pid}/task/{pid}/children").split()]
    except OSError:
        command = ["ps", "-A", "-o", "pid=,ppid="]
        listing = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    pairs = [line.split() for line in listing.splitlines()]
    return [int(child) for child, parent in pairs if parent == str(pid)]


def _read_proc(name: str) -> str:
    with open(f"/proc/{name}", encoding="utf-8", errors="replace") as file:
        return file.read()


def _tie_to_parent() -> Callable[[], None] | None:
    """Return what the child must call before exec so that a SIGKILL of this process ends it too; None off Linux."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        import ctypes

        prctl = ctypes.CDLL(None).prctl
    except (ImportError, OSError, AttributeError):
        return None
    parent = os.getpid()

    def tie() -> None:
        # Our handler would swallow a signal that comes before exec.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        # Popen calls this after it has changed the user, which would have cleared the setting.
        prctl(_PR_SET_PDEATHSIG, int(signal.SIGINT), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return tie


def _start(command: Sequence[str], account: str, lock_fd: int) -> subprocess.Popen[bytes]:
    uid, gid = (None, None) if account == "-" else map(int, account.split(":"))
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        pass_fds=(lock_fd,),
        preexec_fn=_tie_to_parent(),  # noqa: PLW1509  (there is one thread only)
        user=uid,
        group=gid,
        extra_groups=None if uid is None else [],
    )


def _listen_to_signals() -> int:
    """Return a descriptor that becomes readable at each signal, and survive those that a terminal sends."""
    woken, wake = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A handler, not SIG_IGN: the server would inherit that until it has set up its own.
        signal.signal(number, lambda *_: None)
    return woken


def _watch(child: subprocess.Popen[bytes], woken: int) -> None:
    """Return when the child has ended or bench wants it to."""
    stdin = sys.stdin.fileno()
    while child.poll() is None:
        readable, _, _ = select.select([stdin, woken], [], [])
        if stdin in readable:
            return
        os.read(woken, 4096)


def main(arguments: Sequence[str]) -> int:
    """Run the server to its end and return its exit status."""
    lock_fd, account, *command = arguments
    woken = _listen_to_signals()
    try:
        child = _start(command, account, int(lock_fd))
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"FATAL:  cannot run {command[0]}: {error}\n")
        return 1
    try:
        # Bench may be dead already; the end of file on standard input tells.
        with contextlib.suppress(BrokenPipeError):
            os.write(sys.stdout.fileno(), b"%d\n" % child.pid)
        _watch(child, woken)
    finally:
        end(child)
    return abs(int(child.returncode))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
