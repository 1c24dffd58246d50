"""Taking an index away and giving it back, in the way of each database; reading its plans is ``bench.indexes.plans``'s.

PostgreSQL: DROP INDEX in a transaction that is rolled back, and no one else sees it; while it is open the table is locked.
CockroachDB: schema changes do not belong in transactions; an index is made NOT VISIBLE once and a session chooses whether it
sees it, while writes go on to maintain it ([D:alter-index]).  What an index costs to maintain shows without it only.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from bench.db.admin import Admin, admin_catalogue
from bench.db.connection import Connection, DriverError
from bench.db.ddl import Dialect
from bench.errors import UsageError

GENERIC_PLAN = "EXPLAIN (GENERIC_PLAN, FORMAT JSON)"
"""What stands before a statement with open parameters to see PostgreSQL's plan for any values (16 and later)."""
PlanForm = Literal["json", "text"]
CANDIDATE_FORM = "CREATE INDEX name ON table (column, …) [INCLUDE (…)] [WHERE …]"
_CANDIDATE = re.compile(
    r'create\s+index\s+("?)(?P<name>[a-z_]\w*)\1\s+on\s+("?)(?P<table>[a-z_]\w*)\3\s*[(\s]', re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """An index as the database has it.  ``keys`` are its columns with whatever decides their order."""

    name: str
    table: str
    method: str
    is_unique: bool
    definition: str
    predicate: str
    keys: tuple[str, ...]
    includes: tuple[str, ...]
    bytes: int

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the key columns."""
        return tuple(key.split(" ")[0] for key in self.keys)


@dataclass(frozen=True, slots=True)
class ForeignKeyFacts:
    """A reference: rows of ``table`` to rows of ``parent``, whose deletion looks for them or deletes them."""

    name: str
    table: str
    columns: tuple[str, ...]
    parent: str
    cascades: bool


class IndexLab(Protocol):
    """How a database's indexes are taken away and given back."""

    @property
    def explain(self) -> str:
        """What stands before a statement to see its plan."""
        ...

    @property
    def analyze(self) -> str:
        """What stands before a statement to carry it out and see its plan and what it read and wrote."""
        ...

    @property
    def plan_form(self) -> PlanForm:
        """What the plans are written in."""
        ...

    @property
    def is_transactional(self) -> bool:
        """Whether an index can be hidden without anybody else noticing, and without leave to change the schema."""
        ...

    def hide(self, connection: Connection, index: IndexFacts) -> None:
        """Take the index away from this session until its savepoint is undone."""
        ...

    def show(self, connection: Connection) -> None:
        """Let this session see the index that is set apart."""
        ...

    def set_apart(self, connection: Connection, index: IndexFacts) -> None:
        """Prepare the index for sessions to choose."""
        ...

    def put_back(self, connection: Connection, index: IndexFacts) -> None:
        """Undo ``set_apart``."""
        ...

    def drop(self, connection: Connection, index: IndexFacts) -> None:
        """Really drop the index."""
        ...


@dataclass(frozen=True, slots=True)
class PostgresLab:
    """PostgreSQL."""

    explain: str = "EXPLAIN (FORMAT JSON)"
    analyze: str = "EXPLAIN (ANALYZE, BUFFERS, WAL, TIMING OFF, FORMAT JSON)"
    plan_form: PlanForm = "json"
    is_transactional: bool = True

    def hide(self, connection: Connection, index: IndexFacts) -> None:
        """Drop it; undoing the savepoint brings it back as it was."""
        _on_index(connection, "postgres", "index_drop", index)

    def show(self, connection: Connection) -> None:
        """Nothing to do: it is there."""

    def set_apart(self, connection: Connection, index: IndexFacts) -> None:
        """Nothing to do."""

    def put_back(self, connection: Connection, index: IndexFacts) -> None:
        """Nothing to do."""

    def drop(self, connection: Connection, index: IndexFacts) -> None:
        """Drop it."""
        _on_index(connection, "postgres", "index_drop", index)


@dataclass(frozen=True, slots=True)
class CockroachLab:
    """CockroachDB ([D:alter-index], [D:explain-analyze]); its EXPLAIN has no JSON."""

    admin: Admin
    explain: str = "EXPLAIN"
    analyze: str = "EXPLAIN ANALYZE"
    plan_form: PlanForm = "text"
    is_transactional: bool = False

    def hide(self, connection: Connection, index: IndexFacts) -> None:  # noqa: ARG002
        """Have this session plan without indexes that are NOT VISIBLE."""
        connection.execute(self.admin.catalogue["ignore_hidden_indexes"].sql)

    def show(self, connection: Connection) -> None:
        """Have this session plan with them."""
        connection.execute(self.admin.catalogue["see_hidden_indexes"].sql)

    def set_apart(self, connection: Connection, index: IndexFacts) -> None:
        """Make it NOT VISIBLE: still maintained, but used by those sessions only that ask for it."""
        _on_index(connection, "cockroach", "index_hide", index)

    def put_back(self, connection: Connection, index: IndexFacts) -> None:
        """Make it VISIBLE."""
        _on_index(connection, "cockroach", "index_show", index)

    def drop(self, connection: Connection, index: IndexFacts) -> None:
        """Drop it."""
        _on_index(connection, "cockroach", "index_drop", index)


def lab_of(admin: Admin, dialect: Dialect) -> IndexLab:
    """Return the ways of a database."""
    return PostgresLab() if dialect == "postgres" else CockroachLab(admin)


def read_indexes(admin: Admin, dialect: Dialect) -> tuple[IndexFacts, ...]:
    """Return every index of the schema with its size in bytes, in the order in which they were made (PostgreSQL)."""
    sizes: dict[tuple[str, str], int] = {}
    if dialect == "cockroach":
        sizes = {(table, name): size for table, name, size in admin.read("index_sizes")}
    found = []
    for name, table, method, unique, definition, predicate, keys, includes, size in admin.read("index_facts"):
        found.append(
            IndexFacts(
                *(name, table, method, bool(unique), definition, predicate),
                tuple(keys),
                tuple(includes),
                sizes.get((table, name), int(size)),
            )
        )
    return tuple(found)


def read_foreign_keys(admin: Admin) -> tuple[ForeignKeyFacts, ...]:
    """Return every foreign key of the schema."""
    return tuple(
        ForeignKeyFacts(name, table, tuple(columns), parent, bool(cascades))
        for name, table, columns, parent, cascades in admin.read("foreign_keys")
    )


def read_partition_names(admin: Admin) -> dict[str, str]:
    """Return the name of the partitioned index that each partition's index belongs to."""
    if "index_partitions" not in admin.catalogue:
        return {}
    return {part: whole for part, whole in admin.read("index_partitions")}  # noqa: C416


def candidate_name(text: str) -> tuple[str, str]:
    """Return the names of the index and the table of a CREATE INDEX; UsageError for any other statement."""
    bare = text.strip().removesuffix(";").strip()
    found = _CANDIDATE.match(bare)
    if found is None or ";" in bare:
        raise UsageError(f"'{text}' is not an index to try", hint=f"pass --add '{CANDIDATE_FORM}'")
    return found["name"].lower(), found["table"].lower()


def create_candidate(connection: Connection, text: str) -> None:
    """Make an index that the user asked for; UsageError with the server's words when it refuses."""
    candidate_name(text)
    statement: Any = text.strip().removesuffix(";")
    try:
        connection.execute(statement)
    except DriverError as error:
        raise UsageError(
            f"the server refuses '{text.strip()}'", cause=str(error).splitlines()[0], hint="check names and columns"
        ) from None


def rebuild(connection: Connection, index: IndexFacts) -> None:
    """Make a dropped index again from its definition."""
    statement: Any = index.definition
    connection.execute(statement)


def restore(connection: Connection, definition: str) -> None:
    """Make an index from its definition unless it is there already."""
    statement: Any = re.sub(r"^CREATE (UNIQUE )?INDEX ", r"CREATE \1INDEX IF NOT EXISTS ", definition)
    connection.execute(statement)


def drop_if_there(connection: Connection, dialect: Dialect, index: IndexFacts) -> None:
    """Drop an index unless it is gone already."""
    _on_index(connection, dialect, "index_drop_if_there", index)


def _on_index(connection: Connection, dialect: Dialect, name: str, index: IndexFacts) -> None:
    connection.execute(admin_catalogue(dialect)[name].named(table=index.table, index=index.name))
