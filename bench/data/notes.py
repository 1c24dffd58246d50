"""What a database that is being loaded says of itself, whichever way its rows come in.

May import ``spec`` and ``db``.
"""

from collections.abc import Collection

from bench.data.spec import SeedSpec
from bench.db.ddl import Schema

LOADING = "loading"


def loading_notes(schema: Schema, spec: SeedSpec, tables: Collection[str] | None) -> dict[str, str]:
    """Return the notes that tell one load from another: one goes on only where all are the same."""
    return {
        "created_by": "bench",
        "state": LOADING,
        "variant": schema.variant,
        "schema_version": str(schema.model.version),
        "schema_fingerprint": schema.fingerprint,
        "regions": ",".join(schema.regions),
        "scale": spec.scale,
        "data_seed": str(spec.seed),
        "as_of": spec.as_of.isoformat(),
        "data_fingerprint": spec.fingerprint,
        "only": ",".join(sorted(tables)) if tables is not None else "",
    }
