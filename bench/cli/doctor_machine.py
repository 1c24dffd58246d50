"""What a machine is like to measure on: its timers, its cores, and who else has a say in them."""

import ctypes
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/")
"""Where ``proc`` and ``sys`` are; elsewhere in tests."""
_CLOCKSOURCE = "sys/devices/system/clocksource/clocksource0/current_clocksource"
_QUICK_CLOCKS = frozenset({"tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "xen"})
"""Clocks that are read without a call into the kernel or the hypervisor; others cost about a microsecond each time."""
_STEAL_SHARE = 0.02
_SAMPLE_S = 0.2
_WAKES = 25
_STEAL_FIELD = 7


@dataclass(frozen=True, slots=True)
class Fact:
    """What was found, and what to do about it; no next step where it is as it should be."""

    found: str
    next_step: str = ""


def timers(root: Path = ROOT) -> Fact:
    """Return the clock that times are taken with, and what wakes the generator."""
    clock = time.get_clock_info("perf_counter")
    parts = [f"{clock.implementation}, resolution {clock.resolution * 1e9:.0f} ns"]
    source = _text(root / _CLOCKSOURCE)
    if source:
        parts.append(f"clock source {source}")
    has_timerfd = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "timerfd_create")
    parts.append("timerfd" if has_timerfd else "no timerfd")
    parts.append(f"wakes {_lateness_ms():.2f} ms late")
    steps = []
    if source and source not in _QUICK_CLOCKS:
        steps.append(f"clock source {source} is slow to read: boot with clocksource=tsc where the CPU has it")
    if not has_timerfd:
        steps.append("arrivals are up to a millisecond late without timerfd: use Linux for short response times")
    return Fact(", ".join(parts), "; ".join(steps))


def _lateness_ms() -> float:
    """Return by how much a sleep of a millisecond is late, the median of some."""
    found = []
    for _ in range(_WAKES):
        due = time.perf_counter() + 0.001
        time.sleep(0.001)
        found.append(time.perf_counter() - due)
    return statistics.median(found) * 1000


def cores() -> Fact:
    """Return how many cores this process may use."""
    total = os.cpu_count() or 1
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    found = f"{usable} of {total}" if usable < total else f"{total}"
    if usable < 2:
        return Fact(found, "generator and embedded server share one core: use a machine with two or more, or --url")
    return Fact(found)


def cpu_limit(root: Path = ROOT) -> Fact:
    """Return the limit that a container or service sets, which stops all its processes at once when it is reached."""
    limits = [quota / period for quota, period in _quotas(root)]
    if not limits:
        return Fact("none")
    step = "a limit freezes generator and server for milliseconds at a time: raise it above what the run needs"
    return Fact(f"{min(limits):g} cores", step if min(limits) < (os.cpu_count() or 1) else "")


def _quotas(root: Path) -> Iterator[tuple[float, float]]:
    """Yield quota and period of the control groups of this process, from its own to the root's (cgroup v2, then v1)."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        for folder in _upwards(path):
            if not controllers:
                quota, _, period = _text(root / "sys/fs/cgroup" / folder / "cpu.max").partition(" ")
            elif "cpu" in controllers.split(","):
                place = root / "sys/fs/cgroup/cpu" / folder
                quota, period = _text(place / "cpu.cfs_quota_us"), _text(place / "cpu.cfs_period_us")
            else:
                continue
            if quota.isdigit() and period.isdigit() and int(period):
                yield float(quota), float(period)


def _upwards(path: str) -> Iterator[str]:
    parts = [part for part in path.split("/") if part not in ("", "..")]
    for length in range(len(parts), -1, -1):
        yield "/".join(parts[:length])


def stolen(root: Path = ROOT) -> Fact:
    """Return the share of CPU time that the hypervisor gave to others just now (proc(5), the eighth number of ``cpu``)."""
    before = _ticks(root)
    if before is None:
        return Fact("not known here")
    time.sleep(_SAMPLE_S)
    after = _ticks(root) or before
    spent = [late - early for early, late in zip(before, after, strict=True)]
    share = spent[_STEAL_FIELD] / sum(spent) if sum(spent) > 0 else 0.0
    found = f"{100 * share:.1f} %"
    return (
        Fact(found, "other guests of this host take its cores: use another host, or another hour")
        if (share > _STEAL_SHARE)
        else Fact(found)
    )


def _ticks(root: Path) -> list[int] | None:
    first = _text(root / "proc/stat").partition("\n")[0].split()
    # Guest time, from the ninth number on, is in user time already.
    numbers = [int(word) for word in first[1 : _STEAL_FIELD + 2] if word.isdigit()]
    return numbers if len(numbers) == _STEAL_FIELD + 1 else None


def frequency(root: Path = ROOT) -> Fact:
    """Return who decides the cores' frequency."""
    governor = _text(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    if not governor:
        return Fact("not visible from here")
    if governor == "performance":
        return Fact("governor performance")
    return Fact(
        f"governor {governor}",
        "cores that slow down when idle add to short times: cpupower frequency-set -g performance",
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
