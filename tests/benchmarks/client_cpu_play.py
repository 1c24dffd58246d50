"""The clients that ``client_cpu.py`` measures, each in a process of its own: the whole stack, and the plain way.

Prints ``cpu_s statements`` for everything after the first second.  Run by client_cpu.py.
"""

# The load engine comes first: it patches the standard library before the driver is imported.
from bench.load import locust  # isort: skip

import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, ClassVar
from uuid import UUID, uuid4

import gevent
import psycopg
from bench.workloads.checkout import CheckingOut
from bench.workloads.ordering import Intent, Line, amounts, checkout
from bench.workloads.reserving import guarded
from bench.workloads.world import World, read_world

from bench.db.catalogue import Catalogue, read_package
from bench.db.connection import connect
from bench.db.session import CONNECT, Effects, Session
from bench.load.engine import Engine
from bench.load.plan import Plan
from bench.load.waiting import install_native_wait
from bench.metrics.frame import ATTEMPT, Frame
from bench.results.store import RunWriter
from bench.scenario.model import Scenario
from bench.scenario.schedule import make_schedule
from bench.target.base import Target

REGION = "us-east"
USERS = 20
CARTS = "SELECT id FROM benchmark_carts ORDER BY number"


@dataclass(frozen=True)
class State:
    """What all users share; ``carts`` are filled and used once each."""

    world: World
    carts: Iterator[UUID]
    settings: Any
    strategy: Any = guarded
    run_tag: str = field(default_factory=lambda: secrets.token_hex(6))
    """Else the keys of the next play would be those of this one, and its orders placed already."""


class CheckoutOnly(CheckingOut):
    """Users that only check out, as fast as the server answers."""

    abstract = True
    sessions: ClassVar = {"checkout": "buy"}

    def buy(self, rng: Random) -> None:
        """Buy the next cart."""
        self.check_out(self.world.shopper(self.region, rng), next(self.state.carts), rng)


@dataclass
class Tally:
    """A frame sink that stores frames and counts statements, with the CPU time at the end of each frame."""

    writer: RunWriter
    marks: list[tuple[float, int]] = field(default_factory=list)

    def __call__(self, frame: Frame) -> None:
        """Store a frame."""
        sent = sum(cell.count for cell in frame.statements if cell.statement not in (ATTEMPT, CONNECT))
        self.marks.append((time.process_time(), sent + (self.marks[-1][1] if self.marks else 0)))
        self.writer.write_frame(frame)


class Nobody:
    """An observer of nothing."""

    def collect(self) -> dict[str, float]:
        """Return no counters."""
        return {}

    def statement(self, name: str, started_ns: int, ended_ns: int, ok: bool) -> None:
        """Record nothing."""


def catalogue() -> Catalogue:
    return Catalogue.load([read_package("bench.workloads", "sql")], "postgres")


def world_and_carts(url: str, statements: Catalogue) -> tuple[World, Iterator[UUID]]:
    effects = Effects(time.perf_counter_ns, time.sleep)
    session = Session(REGION, lambda: connect(url), statements, Nobody(), effects)
    with psycopg.connect(url) as connection:
        carts = [cart for (cart,) in connection.execute(CARTS).fetchall()]
    try:
        return read_world(session, (REGION,)), iter(carts)
    finally:
        session.drop()


def stack(url: str, seconds: int, *, pipeline: bool) -> tuple[float, int]:
    install_native_wait()
    statements = catalogue()
    world, carts = world_and_carts(url, statements)
    phase = {"name": "steady", "duration": seconds + 1, "rate": {"checkout": 1}}
    scenario = Scenario.model_validate(
        {
            "name": "client-cpu",
            "question": "what does a statement cost the client?",
            "workload": {"user": "client_cpu_play:CheckoutOnly"},
            "model": "closed",
            "users": USERS,
            "regions": [{"name": REGION}],
            "phases": [phase],
        }
    )
    state = State(world, carts, SimpleNamespace(coupon_share=0.0, declined_share=0.0, pipeline=pipeline))
    target = Target("embedded", "postgres", "", "pg", {REGION: (url,)})
    schedule, users = make_schedule(scenario, 1), {REGION: USERS}
    plan = Plan(scenario, schedule, target, CheckoutOnly, statements, state, "client-cpu", users)
    with tempfile.TemporaryDirectory() as folder, RunWriter(Path(folder) / "run") as writer:
        tally = Tally(writer)
        ended = Engine(plan, tally, Nobody(), lambda _: None).run()
        assert ended.status == "complete", ended
    # The last frame holds the drain; the first connections and the preparing of statements.
    first, last = tally.marks[0], tally.marks[-2]
    return last[0] - first[0], last[1] - first[1]


class PlainSession:
    """What ``checkout`` calls, the way it is usually written: ``conn.execute`` and ``events.request.fire``."""

    def __init__(self, url: str, statements: Catalogue, environment: Any) -> None:
        self.connection = psycopg.connect(url, autocommit=True)
        self.statements = statements
        self.environment = environment
        self.sent = 0
        self.key = self.current = ""

    def execute(self, name: str, params: Any = None) -> list[Any]:
        """Send a statement and tell Locust."""
        return self.send(name, self.statements[name].sql, params)

    def send(self, name: str, text: str, params: Any = None) -> list[Any]:
        """Send a text and tell Locust."""
        started = time.perf_counter()
        cursor = self.connection.execute(text, params)
        rows = cursor.fetchall() if cursor.description else []
        self.environment.events.request.fire(
            request_type="SQL",
            name=name,
            response_time=(time.perf_counter() - started) * 1000,
            response_length=len(rows),
            exception=None,
            context={},
        )
        self.sent += 1
        return rows


def plain(url: str, seconds: int) -> tuple[float, int]:
    statements = catalogue()
    world, carts = world_and_carts(url, statements)
    sessions: list[PlainSession] = []

    class PlainUser(locust.User):
        def on_start(self) -> None:
            self.session = PlainSession(url, statements, self.environment)
            self.rng = Random(len(sessions))
            sessions.append(self.session)

        @locust.task
        def buy(self) -> None:
            where = {"region": REGION, "cart_id": next(carts)}
            session: Any = self.session
            lines = tuple(Line(*row) for row in session.execute("view_cart", where))
            shopper = world.shopper(REGION, self.rng)
            intent = Intent(shopper, REGION, where["cart_id"], lines, uuid4(), None, False, (REGION,))
            amounts(lines, None)
            session.send("BEGIN", "BEGIN")
            checkout(intent, guarded).body(session)
            session.send("COMMIT", "COMMIT")

    environment = locust.env.Environment(user_classes=[PlainUser])
    runner = environment.create_local_runner()
    runner.start(USERS, spawn_rate=USERS)
    while len(sessions) < USERS:
        gevent.sleep(0.01)
    gevent.sleep(1)
    before = time.process_time(), sum(session.sent for session in sessions)
    gevent.sleep(seconds)
    after = time.process_time(), sum(session.sent for session in sessions)
    runner.quit()
    return after[0] - before[0], after[1] - before[1]


def main() -> None:
    way, url, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3])
    cpu, sent = plain(url, seconds) if way == "plain" else stack(url, seconds, pipeline=way == "pipelined")
    print(cpu, sent)


if __name__ == "__main__":
    main()
