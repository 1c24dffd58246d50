"""Locust's master, as the coordinator uses it: who is connected, messages in and out, users where they are wanted."""

import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import gevent
from gevent.queue import Empty, Queue

from bench.errors import UsageError
from bench.load import locust
from bench.load.seats import USER_CLASS, hush_locust
from bench.team import messages

_GONE = "missing"


class Letter(NamedTuple):
    """A message from a worker: ``at_ns`` is when it arrived (``perf_counter_ns``)."""

    kind: str
    client: str
    data: Any
    at_ns: int


@dataclass(slots=True)
class Seating:
    """Stands in for Locust's dispatcher of users, which spreads them evenly: here each worker has its own number."""

    seats: Mapping[str, int] = field(default_factory=dict)
    """Users by Locust's id of the worker."""
    dispatch_in_progress: bool = False

    def new_dispatch(self, target_user_count: int, spawn_rate: float, user_classes: Any = None) -> None:
        """Begin; what is wanted is in ``seats``."""

    def __iter__(self) -> Iterator[dict[str, dict[str, int]]]:
        """Yield, once, how many users each worker is to have."""
        yield {client: {USER_CLASS: count} for client, count in self.seats.items()}

    def add_worker(self, worker_node: Any) -> None:
        """A worker gets users when its share is made, not when it comes."""

    def remove_worker(self, worker_node: Any) -> None:
        """What becomes of its users is decided when its share is handed over."""


class Office:
    """Locust's master runner and the inbox of its workers' messages."""

    def __init__(self, host: str, port: int) -> None:
        """Listen on an address (port 0: any that is free); UsageError when it cannot be had."""
        _require_free(host, port)
        hush_locust()
        self.inbox: Queue[Letter] = Queue()
        self.seating = Seating()
        environment = locust.env.Environment(catch_exceptions=True)
        dispatcher: Any = lambda **_: self.seating  # noqa: E731
        environment.dispatcher_class = dispatcher
        environment.stop_timeout = 0
        self._runner: Any = environment.create_master_runner(host, port)
        self.port: int = self._runner.server.port
        for kind in messages.TO_COORDINATOR:
            self._runner.register_message(kind, self._take)

    def _take(self, environment: Any, msg: Any) -> None:  # noqa: ARG002
        self.inbox.put(Letter(msg.type, msg.node_id, msg.data, time.perf_counter_ns()))

    def next(self, within_s: float) -> Letter | None:
        """Return the next message, waiting for it so long."""
        try:
            letter: Letter = self.inbox.get(timeout=within_s)
        except Empty:
            return None
        return letter

    def send(self, client: str, kind: str, data: Any = None) -> None:
        """Send a message to a worker."""
        self._runner.send_message(kind, data, client)

    def has_left(self, client: str) -> bool:
        """Whether a worker has said that it quits, or Locust has given it up."""
        return client not in self._runner.clients

    def is_silent(self, client: str) -> bool:
        """Whether a worker's heartbeat has not been heard for some seconds (Locust's: one a second, three may be missed)."""
        node = self._runner.clients.get(client)
        return node is None or node.state == _GONE

    def spawn(self, seats: Mapping[str, int]) -> None:
        """Have Locust spawn users on the workers until each has its number; returns at once."""
        self.seating.seats = dict(seats)
        total = sum(seats.values())
        gevent.spawn(self._runner.start, total, total)

    def close(self) -> None:
        """Tell all workers to quit, and listen no longer."""
        self._runner.quit()
        self._runner.server.close(linger=0)


def _require_free(host: str, port: int) -> None:
    address = "0.0.0.0" if host == "*" else host
    try:
        found = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(found[0], found[1]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(found[4])
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}",
            cause=(error.strerror or str(error)).lower(),
            hint="pass another --bind HOST:PORT",
        ) from None
