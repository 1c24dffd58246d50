"""The scripts and instructions that go with exported files: psql's for PostgreSQL, ``cockroach sql``'s for CockroachDB.

May import ``spec``, ``db.ddl`` and ``db.scripts``.  Pure: from what the files hold to the text of each script.  The order is
that of the loader; on CockroachDB foreign keys come after the import, which would leave them unvalidated, and secondary
indexes before it unless the data is large ([D:import-performance-best-practices]).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from urllib.parse import quote

from bench.data.notes import loading_notes
from bench.data.spec import SeedSpec
from bench.db import scripts as text
from bench.db.ddl import Ddl, Schema
from bench.db.dialects import dialect_named

LARGE_IMPORT_BYTES = 100 * 2**30
"""From here on CockroachDB advises to make secondary indexes after the import ([D:import-performance-best-practices])."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that is whole: rows of one table and, where the table is regional, of one region."""

    name: str
    table: str
    region: str | None
    columns: tuple[str, ...]
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder holds; ``rows`` and ``columns`` by table in the order of loading, ``orders`` used up order numbers."""

    spec: SeedSpec
    rows: Mapping[str, int]
    columns: Mapping[str, tuple[str, ...]]
    files: tuple[DataFile, ...]
    facts: Mapping[str, float]
    orders: int
    only: tuple[str, ...] | None = None
    """The tables, where only some were asked for: the loaded database is then no target for a run."""

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.bytes for file in self.files)


def default_base(folder: Path) -> str:
    """Return the URL under which node 1 finds what was uploaded to it ([D:use-cloud-storage])."""
    return f"nodelocal://1/{quote(folder.resolve().name)}"


def file_url(base: str, name: str) -> str:
    """Return the URL of a file below a base; parameters of the base stay at the end.

    >>> file_url("s3://bucket/shop?AUTH=implicit", "data/users.001.csv")
    's3://bucket/shop/data/users.001.csv?AUTH=implicit'
    """
    place, mark, parameters = base.partition("?")
    return f"{place.rstrip('/')}/{name}{mark}{parameters}"


def scripts(schema: Schema, contents: Contents, base: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the scripts of a schema's database by path; ``extra`` are more notes for the loaded database."""
    if dialect_named(schema.dialect).client_reads_files:
        return {"postgres/load.sql": _load_sql(schema, contents, extra)}
    found = {
        "cockroach/schema.sql": _begin(schema, contents)
        + text.script([*schema.stage("tables"), *schema.stage("keys")]),
        "cockroach/indexes.sql": text.script(schema.stage("indexes")),
        "cockroach/after.sql": text.script([*_references(schema, contents), *_end(schema, contents, extra)]),
        "cockroach/validate.sql": text.script(
            [statement for name in contents.rows for statement in text.validate(schema.model.table(name))]
        ),
    }
    for number, table in enumerate(contents.rows, 1):
        found[f"cockroach/import/{number:02}_{table}.sql"] = text.script(_imports(table, contents, base))
    return found


def _load_sql(schema: Schema, contents: Contents, extra: Mapping[str, str]) -> str:
    copies: list[str] = []
    for table, files in groupby(contents.files, lambda file: file.table):
        copies.append(f"\\echo {table}: {contents.rows[table]:,} rows")
        copies += [text.copy_file(table, file.columns, file.name) for file in files]
    return "".join(
        (
            "-- Loads these files into an empty PostgreSQL database; run it in the folder that holds manifest.json.\n",
            text.script([r"\set ON_ERROR_STOP on", r"\encoding UTF8", *text.PSQL_SETTINGS]),
            _begin(schema, contents),
            text.script([*schema.stage("tables"), *copies, r"\echo keys, indexes, foreign keys"]),
            text.script([*schema.stage("keys"), *schema.stage("indexes"), *_references(schema, contents)]),
            text.script([text.COMMIT_ON_DISK, r"\echo statistics, views", *_end(schema, contents, extra)]),
        )
    )


def _begin(schema: Schema, contents: Contents) -> str:
    # Types and sequences first: where they are there already, the script ends before it touches the mark.
    marks = text.notes(loading_notes(schema, contents.spec, contents.only), schema.dialect)
    return text.script([*schema.stage("prepare"), text.MAKE_MARK, *marks])


def _references(schema: Schema, contents: Contents) -> list[Ddl]:
    targets = {key.name: key.target for table in schema.model.tables for key in table.foreign_keys}
    held = contents.rows
    # What refers to a table without files could not be valid.
    return [ddl for ddl in schema.stage("foreign_keys") if ddl.table not in held or targets[ddl.name] in held]


def _end(schema: Schema, contents: Contents, extra: Mapping[str, str]) -> list[str | Ddl]:
    views = [ddl.name for ddl in schema.stage("views") if ddl.kind == "view"]
    done = {"rows": json.dumps(dict(contents.rows)), "facts": json.dumps(dict(contents.facts)), **extra}
    # The state last: the statements are transactions of their own.
    done["state"] = "ready" if contents.only is None else "partial"
    return [
        text.set_sequence("order_number_seq", contents.orders),
        *(text.analyze(table.name, schema.dialect) for table in schema.model.tables),
        *schema.stage("views"),
        *(text.analyze(view, schema.dialect) for view in views if dialect_named(schema.dialect).analyzes_views),
        *text.note_time(schema.dialect),
        *text.notes(done, schema.dialect),
    ]


def _imports(table: str, contents: Contents, base: str) -> list[str]:
    held = [file for file in contents.files if file.table == table]
    return [
        text.import_files(table, columns, [file_url(base, file.name) for file in files])
        for columns, files in groupby(held, lambda file: file.columns)
    ]


def readme(name: str, schemas: Sequence[Schema], contents: Contents, base: str) -> str:
    """Return the instructions of a folder."""
    spec = contents.spec
    parts = [
        f"# Shop data, scale {spec.scale}, seed {spec.seed}, as of {spec.as_of}",
        f"{sum(contents.rows.values()):,} rows in {len(contents.files):,} CSV files, {contents.bytes:,} bytes, written by "
        "shopbench.\n`manifest.json` lists them; `sha256sum -c --quiet SHA256SUMS` checks them. CSV as of RFC 4180 without a "
        "header: NULL is\nnothing between two commas, an empty text is two quotes. A number that is missing is of a file "
        "without rows.",
    ]
    if contents.only is not None:
        parts.append(f"Only {', '.join(contents.rows)}: `bench run` needs all tables and refuses a database of these.")
    for schema in schemas:
        parts.append(
            _POSTGRES if dialect_named(schema.dialect).client_reads_files else _cockroach(name, schema, contents, base)
        )
    return "\n\n".join(parts) + "\n"


_POSTGRES = """\
## PostgreSQL

In this folder, with an empty database:

```bash
psql "$URL" -X -q -f postgres/load.sql
```

The files are read by psql, so they need not be on the server. It stops at the first error; begin again in an empty database.
Then `bench audit --url "$URL"` checks what was loaded."""


def _cockroach(name: str, schema: Schema, contents: Contents, base: str) -> str:
    indexes = 'cockroach sql --url "$URL" -f cockroach/indexes.sql'
    is_large = contents.bytes > LARGE_IMPORT_BYTES
    advice = (
        f"{'Above' if is_large else 'Up to'} 100 GiB indexes are made {'after' if is_large else 'before'} the import"
    )
    return _COCKROACH.format(
        variant=schema.variant,
        database=schema.database.format(name="shop"),
        upload=_upload(name, base),
        before="" if is_large else f"{indexes} &&\n",
        after=f"{indexes} &&\n" if is_large else "",
        advice=advice,
    )


def _upload(name: str, base: str) -> str:
    if base.startswith("nodelocal://"):
        return (
            "Put the files where node 1 finds them, from any machine (one that the node shares a disk with may also copy\n"
            f"`data/` to `{name}/data/` in its `--external-io-dir`):\n\n"
            "```bash\n"
            f'for f in data/*.csv; do cockroach nodelocal upload "$f" "{name}/$f" --url "$URL" || break; done\n'
            "```"
        )
    return f"Copy `data/` so that the cluster finds the files below `{base.partition('?')[0]}`."


_COCKROACH = """\
## CockroachDB, variant {variant}

Make the database and set `URL` to it; what follows stops at the first error.

```sql
{database}
```

{upload}

Every node must see the files under the same URL. For more than a few GB use cloud storage: run the export again with
`--base-url 's3://bucket/folder?AUTH=implicit'` (or `gs://`, `azure-blob://`, `http://`, `external://connection`), which
writes the scripts anew and keeps the files. Keep secrets out of the URL, which is written into the scripts: use
`AUTH=implicit` or an external connection. `userfile:///folder` is for small files (about 15 MB):
`for f in data/*.csv; do cockroach userfile upload "$f" "folder/$f" --url "$URL" || break; done`.

```bash
cockroach sql --url "$URL" -f cockroach/schema.sql &&
{before}cat cockroach/import/*.sql | cockroach sql --url "$URL" &&
{after}cockroach sql --url "$URL" -f cockroach/after.sql &&
cockroach sql --url "$URL" -f cockroach/validate.sql
```

{advice}. The import takes a table offline and
leaves its CHECK constraints unvalidated, which `validate.sql` mends; `after.sql` adds the foreign keys, which validates them.
An import that failed or was cancelled leaves no rows and can be run again. Change no regions while imports run. Then
`bench audit --url "$URL"` checks what was loaded."""
