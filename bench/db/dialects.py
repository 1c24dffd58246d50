"""Where the two databases differ for a client: told apart at connect, asked for by name everywhere else."""

import re
from dataclasses import dataclass
from typing import Protocol

import psycopg

from bench.db.admin import admin_catalogue
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

    @property
    def title(self) -> str:
        """What people call the database."""
        ...

    @property
    def variants(self) -> tuple[str, ...]:
        """Its variants of the schema to check a server with, the one that needs most first."""
        ...

    @property
    def has_regions(self) -> bool:
        """Whether its nodes stand in regions, so that distance is real and a gateway can say where it is."""
        ...

    @property
    def ddl_is_transactional(self) -> bool:
        """Whether statements of a schema can be part of transactions, undone with them, and sent side by side."""
        ...

    @property
    def analyzes_views(self) -> bool:
        """Whether materialized views have statistics."""
        ...

    @property
    def client_reads_files(self) -> bool:
        """Whether files are loaded by a client that reads them, not by the server from where it can reach them."""
        ...

    @property
    def live_audit_delay_s(self) -> float:
        """How many seconds ago the audit beside a run reads."""
        ...

    @property
    def live_audit_options(self) -> tuple[str, ...]:
        """Settings of its session, as ``name=value``."""
        ...


@dataclass(frozen=True, slots=True)
class Postgres:
    """PostgreSQL 15 and later."""

    name: DialectName = "postgres"
    title: str = "PostgreSQL"
    variants: tuple[str, ...] = ("pg",)
    has_regions: bool = False
    ddl_is_transactional: bool = True
    analyzes_views: bool = True
    client_reads_files: bool = True
    live_audit_delay_s: float = 0.0
    # An audit beside the load may take long, and not several cores.
    live_audit_options: tuple[str, ...] = ("max_parallel_workers_per_gather=0",)

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


@dataclass(frozen=True, slots=True)
class Cockroach:
    """CockroachDB 25.2 and later."""

    name: DialectName = "cockroach"
    title: str = "CockroachDB"
    variants: tuple[str, ...] = ("crdb_rbr", "crdb_single")
    has_regions: bool = True
    # A schema change is a job of its own: it commits the open transaction ([D:online-schema-changes]).
    ddl_is_transactional: bool = False
    # 42809 (cockroachdb/cockroach#78181).
    analyzes_views: bool = False
    # IMPORT INTO ([D:import-into]).
    client_reads_files: bool = False
    # ``begin_live_snapshot`` reads five seconds back; one more for what the clocks of its nodes may differ.
    live_audit_delay_s: float = 6.0
    live_audit_options: tuple[str, ...] = ()

    def version(self, connection: Connection) -> str:
        """Return e.g. ``v26.2.1``; TargetError below 25.2."""
        version = parse_cockroach_version(connection.info.parameter_status("crdb_version") or "")
        if release_of(version) < MINIMUM_COCKROACH:
            raise TargetError(
                f"the server is CockroachDB {version}, too old for this schema",
                hint="use CockroachDB 25.2 or later",
            )
        return version

    def gateway_region(self, connection: Connection) -> str | None:
        """Return the gateway's region from its --locality ([D:multiregion-overview]); None of a node without one."""
        try:
            found = value(connection, admin_catalogue(self.name)["gateway_region"].sql)
        except psycopg.errors.ConfigFileError:
            return None  # F0000 "no region set on the locality flag on this node" (cockroachdb/cockroach#72687)
        return str(found) if found else None


_VERSION = re.compile(r"\bv(\d+)\.(\d+)(?:\.\d+)*")


def parse_cockroach_version(text: str) -> str:
    """Return the version in CockroachDB's ``crdb_version`` parameter, without what a test build adds; TargetError when none.

    >>> parse_cockroach_version("CockroachDB CCL v26.2.1 (x86_64-pc-linux-gnu, built 2026/05/04)")
    'v26.2.1'
    """
    found = _VERSION.search(text)
    if found is None:
        raise TargetError(f"cannot tell the server's version from '{text}'", hint="use CockroachDB 25.2 or later")
    return found[0]


def release_of(version: str) -> tuple[int, int]:
    """Return the year and number of a release.

    >>> release_of("v26.2.1")
    (26, 2)
    """
    year, number = version.lstrip("v").split(".")[:2]
    return int(year), int(number)


_DIALECTS: dict[DialectName, DialectBehaviour] = {"postgres": Postgres(), "cockroach": Cockroach()}


def dialect_named(name: DialectName) -> DialectBehaviour:
    """Return a dialect by its name in the catalogue."""
    return _DIALECTS[name]


def dialect_of(connection: Connection) -> DialectBehaviour:
    """Return the dialect that the server on the other end speaks; PostgreSQL never reports ``crdb_version``."""
    return dialect_named("cockroach" if connection.info.parameter_status("crdb_version") else "postgres")
