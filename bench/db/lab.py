"""A database of its own on a live server, made to ask the server questions, and dropped whatever becomes of them.

May import its neighbours in ``bench.db``, ``errors`` and psycopg.
"""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import pq

from bench.db.admin import Admin
from bench.db.catalogue import Catalogue
from bench.db.connection import Connection, connect, open_or_explain, rows, with_database
from bench.db.ddl import Dialect, Schema, load_schema
from bench.db.dialects import DialectBehaviour, dialect_of
from bench.errors import TargetError

APPLICATION = "shopbench-smoke"
EVERYWHERE = "postgres"
"""A database that both servers come with ([D:show-databases])."""


@dataclass(slots=True)
class Lab:
    """The database, a connection to it, and what checks need.

    ``gateways`` are the URLs by region, ``statements`` those of the workload and the audit.  ``refusal`` says why the
    database has no regions, and is empty where it has them or needs none.
    """

    gateways: Mapping[str, tuple[str, ...]]
    dialect: DialectBehaviour
    version: str
    admin: Admin
    schema: Schema
    statements: Catalogue
    url: str
    refusal: str = ""
    _connection: Connection | None = None
    _open: list[Connection] = field(default_factory=list)

    @property
    def catalogue(self) -> Catalogue:
        """The statements of this package."""
        return self.admin.catalogue

    @property
    def connection(self) -> Connection:
        """The connection of the checks, opened anew after it was lost."""
        if self._connection is None or self._connection.closed:
            self._connection = connect(self.url, application=APPLICATION)
        return self._connection

    def another(self, *options: str) -> Connection:
        """Return another connection, closed when the check is over."""
        connection = connect(self.url, application=APPLICATION, options=options)
        self._open.append(connection)
        return connection

    def ask(self, name: str, connection: Connection | None = None, /, **params: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a statement of the catalogue; raises psycopg.Error."""
        return rows(connection or self.connection, self.catalogue[name].sql, params or None)

    def clear(self) -> None:
        """Close what a check has opened, and end its transaction."""
        while self._open:
            self._open.pop().close()
        if self._connection is None or self._connection.closed:
            return
        if self._connection.info.transaction_status != pq.TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                self.ask("rehearsal_end")

    def close(self) -> None:
        """Close every connection to the database."""
        self.clear()
        if self._connection is not None:
            self._connection.close()


@contextmanager
def opened_lab(gateways: Mapping[str, tuple[str, ...]], statements: Mapping[Dialect, Catalogue]) -> Iterator[Lab]:
    """Make a database and hand out the lab in it; TargetError when there is no server or none can be made.

    A region without a name is that of its gateway.  ``statements`` are the workload's by dialect.  The database has the
    gateways' regions where the server can have them.
    """
    first = next(iter(gateways.values()))[0]
    with closing(open_or_explain(with_database(first, EVERYWHERE), application=APPLICATION)) as connection:
        dialect = dialect_of(connection)
        version = dialect.version(connection)
        admin = Admin.of(connection, dialect.name)
        gateways = {region or dialect.gateway_region(connection) or "local": urls for region, urls in gateways.items()}
        name = f"shopbench_smoke_{secrets.token_hex(4)}"
        schema, refusal = _make(admin, dialect, name, tuple(gateways))
        url = with_database(first, name)
        lab = Lab(gateways, dialect, version, admin, schema, statements[dialect.name], url, refusal)
        try:
            yield lab
        finally:
            lab.close()
            with suppress(psycopg.Error):
                admin.drop_database(name)


def _make(admin: Admin, dialect: DialectBehaviour, name: str, regions: tuple[str, ...]) -> tuple[Schema, str]:
    """Make the database for the first variant that it can be made for; return that, and why it is not the one wanted."""
    refusal = ""
    for variant in dialect.variants:
        schema = load_schema(variant, regions, datetime.now(UTC).date())
        try:
            admin.create_for(schema, name)
        except psycopg.Error as error:
            refusal = f"{error.sqlstate}: {str(error).splitlines()[0]}"
            continue
        return schema, refusal
    raise TargetError(
        "cannot make a database to ask questions in",
        cause=refusal,
        hint="the user must be allowed to create databases (CREATEDB)",
    )
