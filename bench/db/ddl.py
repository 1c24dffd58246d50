"""A schema variant, rendered: its statements in the stages in which they are applied.

The stages are apart because loading is fastest between ``tables`` and ``keys`` on PostgreSQL (measured: keys and foreign
keys first cost 2.4 times as long).
"""

import hashlib
import importlib
from dataclasses import dataclass
from datetime import date
from typing import Literal, Protocol, cast

from bench.db.model import Model
from bench.errors import UsageError

Dialect = Literal["postgres", "cockroach"]
Stage = Literal["prepare", "tables", "keys", "indexes", "foreign_keys", "views"]
STAGES: tuple[Stage, ...] = ("prepare", "tables", "keys", "indexes", "foreign_keys", "views")
BEFORE_LOAD: tuple[Stage, ...] = ("prepare", "tables")
AFTER_LOAD: tuple[Stage, ...] = ("keys", "indexes", "foreign_keys", "views")


@dataclass(frozen=True, slots=True)
class Ddl:
    """One statement of the schema and the object that it makes."""

    stage: Stage
    kind: str
    name: str
    table: str | None
    sql: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A variant for given regions: ``statements`` make it, ``drops`` remove it, ``database`` makes its database."""

    variant: str
    dialect: Dialect
    regions: tuple[str, ...]
    model: Model
    statements: tuple[Ddl, ...]
    drops: tuple[str, ...]
    database: str
    """``CREATE DATABASE {name} …`` with the name left to fill in."""
    unique_keys: tuple[tuple[str, str, tuple[str, ...]], ...]
    """(table, constraint, columns) of every primary and unique key, as the variant has them."""
    checksums: tuple[tuple[str, str], ...] = ()
    """(table, SELECT of its number of rows and the sum of their hashes)."""

    def stage(self, name: Stage) -> tuple[Ddl, ...]:
        """Return the statements of one stage, in order."""
        return tuple(ddl for ddl in self.statements if ddl.stage == name)

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that change with any statement of the variant."""
        text = "\n".join((str(self.model.version), *(ddl.sql for ddl in self.statements)))
        return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True)
class VariantInfo:
    """What ``bench schema show`` lists of a variant."""

    name: str
    dialect: Dialect
    purpose: str


class SchemaSource(Protocol):
    """What the package ``bench.schema`` offers; it is found at run time because the core never imports it."""

    MODEL: Model
    VARIANTS: dict[str, VariantInfo]

    def definition(self, variant: str, regions: tuple[str, ...], as_of: date) -> Schema:
        """Return the variant rendered for the regions; months of partitions lie around ``as_of``."""
        ...


def source() -> SchemaSource:
    """Return the package that defines the schema."""
    return cast(SchemaSource, importlib.import_module("bench.schema"))


def load_schema(variant: str, regions: tuple[str, ...], as_of: date) -> Schema:
    """Return a variant of the schema; UsageError when there is none of that name."""
    known = source().VARIANTS
    if variant not in known:
        raise UsageError(f"no schema variant named '{variant}'", hint=f"the variants are {', '.join(known)}")
    return source().definition(variant, regions, as_of)
