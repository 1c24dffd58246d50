"""Writing the tables of a store as CSV or Parquet, a batch of rows at a time."""

import importlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Literal

from bench.results.export_columns import Column, Row, Value, damaged, read_batches, store_tables
from bench.results.read import Run

TableForm = Literal["csv", "parquet"]
Show = Callable[[str], None]

_Sink = Callable[[list[Row]], None]


def write_tables(run: Run, folder: Path, form: TableForm, show: Show) -> dict[str, int]:
    """Write a file for each table of the store, empty ones too; return the rows of each file by name.

    Raises UsageError when the store is damaged, OSError when the folder cannot be written.
    """
    written = {}
    tables = store_tables()
    for number, table in enumerate(tables, 1):
        path = folder / f"{table.name}.{form}"
        with _OPENERS[form](path, table.columns) as write:
            rows = 0
            for batch in read_batches(run, table):
                try:
                    write(batch)
                except (ValueError, TypeError, OverflowError) as error:
                    raise damaged(run, table.name, error) from None
                rows += len(batch)
                show(f"{table.name} ({number} of {len(tables)} tables), {rows:,} rows")
        written[path.name] = rows
    return written


@contextmanager
def _csv(path: Path, columns: tuple[Column, ...]) -> Iterator[_Sink]:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(column.name for column in columns) + "\n")

        def write(batch: list[Row]) -> None:
            file.writelines(",".join(map(csv_text, row)) + "\n" for row in batch)

        yield write


def csv_text(value: Value) -> str:
    r"""Return a value as it stands in a CSV file: nothing for None, quotes around an empty text (RFC 4180).

    >>> csv_text(None), csv_text(""), csv_text(1.5), csv_text("plain"), csv_text('a "b", c')
    ('', '""', '1.5', 'plain', '"a ""b"", c"')
    """
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value)
    if value and not any(sign in value for sign in ',"\r\n'):
        return value
    return '"' + value.replace('"', '""') + '"'


@contextmanager
def _parquet(path: Path, columns: tuple[Column, ...]) -> Iterator[_Sink]:
    arrow: Any = importlib.import_module("pyarrow")
    types = {"integer": arrow.int64(), "real": arrow.float64(), "text": arrow.string()}
    schema = arrow.schema([(column.name, types[column.kind]) for column in columns])
    with importlib.import_module("pyarrow.parquet").ParquetWriter(path, schema) as writer:

        def write(batch: list[Row]) -> None:
            arrays = [arrow.array(cells, field.type) for cells, field in zip(zip(*batch), schema)]
            writer.write_batch(arrow.record_batch(arrays, schema=schema))

        yield write


_OPENERS: dict[TableForm, Callable[[Path, tuple[Column, ...]], AbstractContextManager[_Sink]]] = {
    "csv": _csv,
    "parquet": _parquet,
}
