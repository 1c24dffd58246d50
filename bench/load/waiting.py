"""How psycopg waits under gevent, and the proof that users really run side by side."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import gevent
import psycopg
import psycopg.waiting
from gevent.pool import Group
from psycopg import errors as driver_errors

from bench.db import wire
from bench.db.admin import admin_catalogue
from bench.db.connection import Connection, rows
from bench.db.dialects import dialect_of
from bench.errors import NotValidError

_READ, _WRITE = 1, 2
PROBES = 10
PROBE_S = 0.1
PROBE_LIMIT_S = 0.5
_PROBE_AGAIN = 2
"""Side by side the probes take 0.1 s, one after another 1 s; half a second tells the two apart on a busy machine."""


def install_native_wait() -> None:
    """Let psycopg and the wire wait on one reusable gevent watcher per socket and direction, not on an emulated poll().

    Measured: 12 µs of CPU a statement less than what psycopg picks by itself under gevent.  ``psycopg.connection`` looks
    the function up at call time, so replacing it once is enough.
    """
    if not hasattr(psycopg.waiting, "wait"):
        return
    hub = gevent.get_hub()
    loop, hub_wait = hub.loop, hub.wait
    watchers: dict[tuple[int, int], Any] = {}

    def native_wait(gen: Any, fileno: int, interval: float = 0.0, timeout: float | None = None) -> Any:  # noqa: ARG001
        try:
            ready = next(gen)
            while True:
                key = (fileno, int(ready))
                watcher = watchers.get(key)
                if watcher is None:
                    watcher = watchers[key] = loop.io(*key)
                _wait(hub_wait, watcher, timeout)
                ready = gen.send(ready)
        except StopIteration as stop:
            return stop.value

    psycopg.waiting.wait = native_wait
    wire.waits_of = native_waits


def native_waits(fd: int) -> wire.Waits:
    """Return waits on gevent watchers that are made once for the connection, one for each direction."""
    hub = gevent.get_hub()
    wait, loop = hub.wait, hub.loop
    return wire.Waits(partial(wait, loop.io(fd, _READ)), partial(wait, loop.io(fd, _READ | _WRITE)))


def _wait(hub_wait: Callable[[Any], None], watcher: Any, timeout: float | None) -> None:
    if timeout is None:
        hub_wait(watcher)
        return
    expired = getattr(driver_errors, "_WaitTimeout", TimeoutError)
    with gevent.Timeout(timeout, expired("wait timeout expired")):
        hub_wait(watcher)


def _naps_took(connections: Sequence[Connection], nap: str) -> float:
    started = time.perf_counter()
    group = Group()
    for connection in connections:
        group.spawn(rows, connection, nap)
    group.join(raise_error=True)
    return time.perf_counter() - started


def prove_concurrency(connector: Callable[[], Connection]) -> float:
    """Return the seconds that ten concurrent sleeps of 0.1 s took; NotValidError when they ran one after another.

    A machine that stands still for a moment makes them late, too; one after another they are late every time.
    """
    connections = [connector() for _ in range(PROBES)]
    try:
        nap = admin_catalogue(dialect_of(connections[0]).name)["nap"].sql
        took = _naps_took(connections, nap)
        for _ in range(_PROBE_AGAIN):
            if took > PROBE_LIMIT_S:
                took = min(took, _naps_took(connections, nap))
    finally:
        for connection in connections:
            connection.close()
    if took > PROBE_LIMIT_S:
        raise NotValidError(
            f"{PROBES} concurrent sleeps of {PROBE_S} s took {took:.2f} s: users would run one after another",
            cause="psycopg was imported before gevent patched the standard library",
            hint="import bench.load (or locust) before psycopg in your own modules",
        )
    return took
