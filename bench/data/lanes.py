"""A lane: what makes blocks and brings them into the database, one after the other, whatever happens to its connections.

May import ``blocks``, ``ledger`` and ``db``.  A lane lives in the loader's own process or, behind a pipe, in another one
(``crew``); the loader cannot tell them apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, perf_counter, sleep
from typing import Protocol

from bench.data.blocks import Block, DataSet, Rows
from bench.data.spec import SeedSpec
from bench.db import bulk
from bench.db.connection import Connection, DriverError, connect
from bench.db.ddl import Dialect
from bench.db.journal import Journal
from bench.db.taxonomy import classify
from bench.errors import TargetError

RECONNECT_S = 20.0
"""How long a lane tries to get a block through after its connection was lost."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
APPLICATION = "shopbench-copy"
"""How a lane's sessions are named at the server."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a lane needs to know; goes through a pipe to other processes, because the URLs may hold passwords.

    ``gateways`` is the URL of each region; ``load`` the number of the load in the journal; ``ledger`` the folder in which the
    sums over all orders are kept for other processes.
    """

    gateways: Mapping[str, str]
    dialect: Dialect
    spec: SeedSpec
    load: int = 0
    ledger: Path | None = None


@dataclass(frozen=True, slots=True)
class Loaded:
    """A block that is committed, or was before; seconds of making it, and of the server taking it."""

    table: str
    rows: int
    bytes: int
    generate_s: float
    copy_s: float
    retries: int = 0


class Loader(Protocol):
    """One lane, here or in another process."""

    def load(self, block: Block) -> Loaded:
        """Make a block and commit it; TargetError when that is impossible."""
        ...

    def close(self) -> None:
        """Let go of the connections."""
        ...


class Lane:
    """A lane in this process: a connection to each gateway that it has rows for."""

    def __init__(self, plan: Plan, data: DataSet) -> None:
        self._plan = plan
        self._data = data
        self._format = bulk.copy_format(plan.dialect)
        self._open: dict[str, Connection] = {}

    def load(self, block: Block) -> Loaded:
        """Make a block and commit it together with its entry in the journal."""
        started = perf_counter()
        rows = self._data.make(block, self._format)
        made = perf_counter()
        retries = self._commit(block, rows) if rows.count else 0
        return Loaded(rows.table, rows.count, len(rows.body), made - started, perf_counter() - made, retries)

    def close(self) -> None:
        """Close the connections."""
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def _commit(self, block: Block, rows: Rows) -> int:
        """Bring a block in, over a new connection where the old one is lost; return how often it was tried again."""
        url = self._plan.gateways[self._data.region_of(block)]
        give_up, pause, retries = 0.0, _FIRST_PAUSE_S, 0
        while True:
            try:
                self._try(url, block, rows)
                return retries
            except DriverError as error:
                refusal = classify(error.sqlstate, str(error), at_commit=False)
                give_up = give_up or monotonic() + RECONNECT_S
                if refusal.action not in ("retry", "reconnect", "ambiguous") or monotonic() > give_up:
                    raise _failure(block, rows, error) from error
            # A commit whose answer was lost has left its entry in the journal, so trying again is safe.
            self._drop(url)
            sleep(pause)
            pause, retries = min(2 * pause, _LONGEST_PAUSE_S), retries + 1

    def _try(self, url: str, block: Block, rows: Rows) -> None:
        connection = self._connection(url)
        journal = Journal.of(connection, self._plan.dialect, self._plan.load)
        with journal.once(block.part, block.first, rows.count) as is_new:
            if is_new:
                bulk.copy_block(connection, rows.table, rows.columns, rows.body, self._format)

    def _connection(self, url: str) -> Connection:
        if url not in self._open:
            connection = connect(url, application=APPLICATION)
            self._open[url] = connection
            bulk.prepare_session(connection, self._plan.dialect)
            Journal.of(connection, self._plan.dialect).share()
        return self._open[url]

    def _drop(self, url: str) -> None:
        connection = self._open.pop(url, None)
        if connection is not None:
            connection.close()


def _failure(block: Block, rows: Rows, error: DriverError) -> TargetError:
    try:
        with bulk.explained(f"COPY to {rows.table} ({block.part} from {block.first})"):
            raise error
    except TargetError as failure:
        return failure
