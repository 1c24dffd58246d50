"""What a load will cost before anything is done: rows, bytes and seconds, from a sample that is made and measured.

May import ``extrapolate``, ``sample`` and ``db``.  On PostgreSQL the sample is loaded, measured and rolled back
(``db.probe``), once without rows and once with them: what the rows cost is the difference.  On CockroachDB, where DDL does
not belong into transactions, only the making of rows is measured.
"""

from collections.abc import Callable
from time import perf_counter

from bench.data.cost import Estimate
from bench.data.extrapolate import extrapolated, without_server
from bench.data.sample import make_sample, measure
from bench.data.spec import SeedSpec
from bench.db.bulk import Connection
from bench.db.ddl import Schema
from bench.db.dialects import dialect_named
from bench.db.probe import open_probe


def estimate(connect: Callable[[], Connection], schema: Schema, spec: SeedSpec, *, connections: int) -> Estimate:
    """Measure a sample of the data and return what loading all of it will cost; nothing is left behind.

    ``connect`` returns a connection in autocommit mode; it is not called for CockroachDB.  TargetError when the server
    refuses something, e.g. because the role may not create a schema.
    """
    started = perf_counter()
    sample = make_sample(spec, schema)
    if not dialect_named(schema.dialect).ddl_is_transactional:
        return without_server(spec, sample, connections, started)
    with connect() as connection, open_probe(connection, schema) as probe:
        measured = measure(probe, sample)
    return extrapolated(spec, sample, measured, connections, started)
