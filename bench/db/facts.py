"""What our code relies on CockroachDB to do, each with its source; `bench cluster smoke` asks a live server.

Sources: ``[D:x]`` is ``src/current/v26.2/x.md`` of cockroachdb/docs, ``[LT:x]`` and ``[SRC:x]`` are
``pkg/sql/logictest/testdata/logic_test/x`` and the path x of cockroachdb/cockroach, ``[C:x]`` is ``_includes/common/x.md`` of
cockroachdb/docs, ``[PSY:x]`` is x of psycopg/psycopg.
"""

from bench.db import smoke_checks as ask
from bench.db import smoke_sessions as session
from bench.db.facts_of_sessions import READING, SESSIONS
from bench.db.smoke import Fact
from bench.db.smoke_checks import ALL, answers

_SERVER = (
    Fact(
        "a connection is told the version as crdb_version",
        "bench/db/dialects.py: by it the databases are told apart",
        "[SRC:pkg/sql/pgwire/conn.go] statusReportParams",
        "CockroachDB",
        ask.reports_a_version,
    ),
    Fact(
        "a database can be made with the gateways' regions",
        "schema/variants.py: crdb_rbr",
        "[D:create-database], [D:multiregion-overview]",
        "made",
        ask.has_the_regions,
    ),
    Fact(
        "SHOW REGIONS FROM CLUSTER has every gateway's region",
        "bench/db/sql/smoke.sql; the names of --regions are those of --locality",
        "[D:show-regions]",
        ALL,
        ask.lists_the_regions,
    ),
    Fact(
        "gateway_region() is the region of the node that answers",
        "bench/load/gateways.py: asserted for each connection",
        "[D:multiregion-overview]",
        ALL,
        ask.gateways_are_at_home,
    ),
    Fact(
        "six transactions can be open at once",
        "bench/db/retry.py: one XXC02 ends a run",
        "[SRC:pkg/server/license/enforcer.go], [C:licensing-faqs]: five without a licence",
        "6 at once",
        session.nobody_is_throttled,
        is_shared=True,
    ),
    Fact(
        "the default isolation is serializable",
        "docs/cockroachdb.md: what a run without --isolation measures",
        "[D:transactions], [LT:txn]",
        "serializable",
        answers("smoke_default_isolation"),
    ),
)

_SCHEMA = (
    Fact(
        "every statement of the schema is taken",
        "schema/render.py",
        "each parsed by CockroachDB's own parser; docs/cockroachdb.md",
        ALL,
        ask.schema_is_made,
        is_shared=True,
    ),
    Fact(
        "the catalogue of the database shows the schema as it was made",
        "bench/db/check.py, bench/db/sql/check.sql",
        "[D:information-schema], [D:pg-catalog]",
        ALL,
        ask.schema_agrees,
        is_shared=True,
    ),
    Fact(
        "every statement of the workload and the audit is understood",
        "workloads/sql, bench/audit/sql",
        "each parsed by CockroachDB's own parser; docs/cockroachdb.md",
        ALL,
        ask.statements_are_understood,
        is_shared=True,
    ),
    Fact(
        "text without a type is cast to the region's enum",
        "workloads/sql: %(region)s::crdb_internal_region",
        "[D:enum]; [PSY:docs/api/crdb.rst]",
        "the same",
        ask.casts_to_its_region,
        is_shared=True,
    ),
    Fact(
        "the function of order numbers works",
        "schema/model.py: generate_order_number; checkout.sql",
        "[LT:udf], [D:plpgsql]",
        "ORD-east-",
        answers("smoke_order_number"),
        is_shared=True,
    ),
    Fact(
        "a sequence with a cache goes on after setval",
        "bench/db/bulk.py: set_sequence after a load",
        "[D:create-sequence]: the cache is a node's",
        "42",
        session.sequence_goes_on,
        is_shared=True,
    ),
)

_STATEMENTS = (
    Fact(
        "computed columns, tsvector and arrays are columns as any",
        "schema/catalogue.py",
        "[D:computed-columns], [D:full-text-search]",
        "2",
        answers("smoke_items_make", "smoke_items_fill", "smoke_lines_make", "smoke_count"),
        is_shared=True,
    ),
    Fact(
        "NULLS LAST orders NULL last",
        "workloads/sql/world.sql; written out wherever it matters",
        "[D:order-by]",
        "1; 2; NULL",
        answers("smoke_nulls_last"),
        is_shared=True,
    ),
    Fact(
        "without it NULL comes first",
        "docs/cockroachdb.md: why it is written out",
        "[D:order-by]",
        "NULL; 1; 2",
        answers("smoke_nulls"),
    ),
    Fact(
        "the quotient of integers is not an integer",
        "docs/cockroachdb.md: no statement divides integers",
        "[D:postgresql-compatibility]",
        "true",
        answers("smoke_division"),
    ),
    Fact(
        "unnest of several arrays gives rows side by side",
        "workloads/sql: lines and movements of an order in one statement",
        "[LT:srfs]",
        "1, x; 2, y",
        answers("smoke_unnest"),
        is_shared=True,
    ),
    Fact(
        "rows compare by their columns in order",
        "workloads/sql: pages by key",
        "[D:pagination], [LT:tuple]",
        "2",
        answers("smoke_keyset"),
        is_shared=True,
    ),
    Fact(
        "ON CONFLICT takes a key with a computed column as its target",
        "workloads/sql/cart.sql: add_cart_item",
        "[D:insert], [D:computed-columns]",
        "10",
        answers("smoke_add_line", "smoke_add_line"),
        is_shared=True,
    ),
    Fact(
        "ON CONFLICT DO NOTHING without a target returns no row",
        "workloads/sql/checkout.sql: insert_order",
        "[D:insert]",
        "no row",
        answers("smoke_add_nothing"),
        is_shared=True,
    ),
    Fact(
        "a guarded UPDATE that finds too little returns no row",
        "workloads/sql/checkout.sql: reserve_guarded",
        "[D:update]",
        "no row",
        answers("smoke_guard"),
        is_shared=True,
    ),
    Fact(
        "a partial GIN index on an array may be there, and @> finds by it",
        "schema/model.py: idx_products_tags",
        "[D:inverted-indexes], [D:partial-indexes]",
        "1",
        answers("smoke_tags_index", "smoke_tagged"),
        is_shared=True,
    ),
    Fact(
        "a GIN index on a tsvector may be there, and plainto_tsquery finds by it",
        "schema/model.py: idx_products_search",
        "[D:full-text-search], [LT:tsvector]",
        "1",
        answers("smoke_words_index", "smoke_search"),
        is_shared=True,
    ),
)

FACTS = (*_SERVER, *_SCHEMA, *_STATEMENTS, *SESSIONS, *READING)
"""In the order in which they are asked for: later ones use what earlier ones have made."""
