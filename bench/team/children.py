"""Worker processes of this machine: children that live no longer than their parent, and are told secrets by a pipe.

The command line and the environment are for everyone to read; what a child has to know comes on its standard input, which
stays open: its end tells the child that the parent is gone, however it went.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import IO, Any

import gevent

_PR_SET_PDEATHSIG = 1
ENDS_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class Charge:
    """What a parent tells its child by the pipe; ``gateways`` hold passwords."""

    name: str
    token: str
    gateways: Mapping[str, Sequence[str]]


@dataclass(slots=True)
class Child:
    """One process; ``said`` is where its error messages go."""

    name: str
    process: "subprocess.Popen[bytes]"
    said: IO[bytes]

    @property
    def code(self) -> int | None:
        """How it ended; None while it lives."""
        return self.process.poll()

    def last_words(self) -> str:
        """Return the first line of what it printed to standard error, without the word that begins it."""
        self.said.seek(0)
        lines = self.said.read().decode(errors="replace").splitlines()
        return next((line.removeprefix("error: ") for line in lines if line.strip()), "")

    def kill(self) -> None:
        """End it at once."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)


@dataclass(slots=True)
class Team:
    """The children of one run."""

    children: dict[str, Child] = field(default_factory=dict)

    def start(self, charge: Charge, address: str) -> None:
        """Start a worker that joins the coordinator at an address."""
        said = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the child lives
        process = subprocess.Popen(
            # -P: with the current folder on the path, a checkout's ./bench would hide the installed package.
            [
                sys.executable,
                "-P",
                "-c",
                "from bench.cli import main; main()",
                "worker",
                "--master",
                address,
                "--child",
            ],
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=said,
            # Ctrl-C is for the parent, which passes it on in order.
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(charge)).encode() + b"\n")
        process.stdin.flush()
        self.children[charge.name] = Child(charge.name, process, said)

    def end(self) -> None:
        """Wait for the children to end, and end those that do not."""
        for child in self.children.values():
            if child.process.stdin is not None:
                with suppress(OSError):
                    child.process.stdin.close()
        for child in self.children.values():
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(ENDS_WITHIN_S)
            child.kill()
            child.process.wait()
            child.said.close()


def read_charge() -> Charge:
    """Return what the parent said, and see to it that this process ends with it."""
    _die_with_parent()
    data: dict[str, Any] = json.loads(sys.stdin.buffer.readline() or b"{}")
    if not data:
        os._exit(1)
    return Charge(**data)


def watch_parent(gone: Callable[[], object]) -> gevent.Greenlet:
    """Call a function once the parent has closed the pipe, in a greenlet."""
    hub = gevent.get_hub()
    watcher = hub.loop.io(sys.stdin.fileno(), 1)

    def watch() -> None:
        while True:
            hub.wait(watcher)
            if not os.read(sys.stdin.fileno(), 4096):
                break
        gone()

    return gevent.spawn(watch)


def _die_with_parent() -> None:
    # The pipe tells a child that is awake; one that is stopped or busy is ended by the kernel.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
