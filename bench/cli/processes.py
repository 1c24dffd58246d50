"""CPU time of the machine, and of the embedded server of a run, from /proc; nothing where the system does not say."""

import os
from pathlib import Path

from bench.target import supervisor
from bench.target.supervisor import children

_CPU_LINE_FIELDS = slice(1, 9)
_IDLE = (3, 4)


def server_seconds(pid: int) -> dict[int, float]:
    """Return CPU seconds by process of the embedded server that a run started; its workers are its children, too."""
    found: dict[int, float] = {}
    for child in children(pid):
        if _is_supervisor(child):
            found |= cpu_seconds(child)
    return found


def cpu_seconds(pid: int) -> dict[int, float]:
    """Return CPU seconds by process of a tree: user and system time, with that of children that have ended."""
    found: dict[int, float] = {}
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        spent = _spent(each)
        if spent is not None:
            found[each] = spent
            waiting += children(each)
    return found


def machine_seconds() -> tuple[float, float] | None:
    """Return (busy, all) CPU seconds of the machine since it started."""
    try:
        line = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0]
    except OSError:
        return None
    ticks = [int(word) for word in line.split()[_CPU_LINE_FIELDS]]
    per_s = os.sysconf("SC_CLK_TCK")
    return (sum(ticks) - sum(ticks[at] for at in _IDLE)) / per_s, sum(ticks) / per_s


def _is_supervisor(pid: int) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(supervisor.__file__) in words


def _spent(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
    except OSError:
        return None
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")
