"""Where the two databases differ for a client: told apart at connect, asked for by name everywhere else."""

from dataclasses import dataclass
from typing import Protocol

from bench.db.connection import Connection, value
from bench.db.ddl import Dialect as DialectName
from bench.errors import TargetError

MINIMUM_POSTGRES = 150000
MINIMUM_COCKROACH = (25, 2)


class DialectBehaviour(Protocol):
    """What differs between the databases, one method a difference."""

    @property
    def name(self) -> DialectName:
        """The dialect's name, as the catalogue knows it."""
        ...

    def version(self, connection: Connection) -> str:
        """Return the server's version; TargetError when it is too old."""
        ...

    def gateway_region(self, connection: Connection) -> str | None:
        """Return the region of the node that answers, or None where the server has no regions."""
        ...

    def refresh_view(self, name: str) -> str:
        """Return the statement that refreshes a materialized view while readers go on."""
        ...


@dataclass(frozen=True, slots=True)
class Postgres:
    """PostgreSQL 15 and later."""

    name: DialectName = "postgres"

    def version(self, connection: Connection) -> str:
        """Return e.g. ``18.6``; TargetError below 15."""
        number = connection.info.server_version
        if number < MINIMUM_POSTGRES:
            raise TargetError(
                f"the server is PostgreSQL {number // 10000}, too old for this schema",
                hint="use PostgreSQL 15 or later, or CockroachDB 25.2 or later",
            )
        return f"{number // 10000}.{number % 10000}"

    def gateway_region(self, connection: Connection) -> str | None:  # noqa: ARG002
        """Return None: a PostgreSQL server stands in one place."""
        return None

    def refresh_view(self, name: str) -> str:
        """CONCURRENTLY keeps readers going; it needs the view's unique index."""
        return f"REFRESH MATERIALIZED VIEW CONCURRENTLY {name}"


@dataclass(frozen=True, slots=True)
class Cockroach:
    """CockroachDB 25.2 and later."""

    name: DialectName = "cockroach"

    def version(self, connection: Connection) -> str:
        """Return e.g. ``v26.2.1``; TargetError below 25.2."""
        text = connection.info.parameter_status("crdb_version") or ""
        version = parse_cockroach_version(text)
        if tuple(int(part) for part in version.lstrip("v").split(".")[:2]) < MINIMUM_COCKROACH:
            raise TargetError(
                f"the server is CockroachDB {version}, too old for this schema",
                hint="use CockroachDB 25.2 or later",
            )
        return version

    def gateway_region(self, connection: Connection) -> str | None:
        """Return the gateway's region from its --locality ([D:multiregion-overview])."""
        found = value(connection, "SELECT gateway_region()")
        return str(found) if found else None

    def refresh_view(self, name: str) -> str:
        """Read as of a moment ago, so that the refresh does not push writers ([D:refresh], since v25.2)."""
        return f"REFRESH MATERIALIZED VIEW {name} AS OF SYSTEM TIME follower_read_timestamp()"


def parse_cockroach_version(text: str) -> str:
    """Return the version in CockroachDB's ``crdb_version`` parameter.

    >>> parse_cockroach_version("CockroachDB CCL v26.2.1 (x86_64-pc-linux-gnu, built 2026/05/04)")
    'v26.2.1'
    """
    for word in text.split():
        if word[:1] == "v" and word[1:2].isdigit():
            return word.split("-")[0]
    raise TargetError(f"cannot tell the server's version from '{text}'", hint="use CockroachDB 25.2 or later")


def dialect_of(connection: Connection) -> DialectBehaviour:
    """Return the dialect that the server on the other end speaks; PostgreSQL never reports ``crdb_version``."""
    return Cockroach() if connection.info.parameter_status("crdb_version") else Postgres()
