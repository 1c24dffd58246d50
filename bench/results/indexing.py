"""``indexes.json``: what ``bench indexes`` wrote, as the report of a run reads it."""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.errors import UsageError
from bench.results.versions import check_version
from bench.stats.indexing import Word

INDEXES_NAME = "indexes.json"
INDEXES_VERSION = 1
"""1: the first."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class IntervalRow(_Part):
    """An estimate with its 95 % interval, in milliseconds per unit of the file."""

    estimate: float
    low: float | None
    high: float | None


class BalanceRow(_Part):
    """What an index gives and takes; ``cost`` is None where it was not measured."""

    gain: IntervalRow
    cost: IntervalRow | None
    net: IntervalRow


class VerdictRow(_Part):
    """The verdict on an index and why."""

    word: Word
    reason: str


class RegionRow(_Part):
    """The balance of one region's calls."""

    region: str
    balance: BalanceRow


class SideRow(_Part):
    """A statement with or without the index."""

    plan: str
    rows: float | None
    blocks: float | None
    wal_bytes: float | None


class EffectRow(_Part):
    """The times of a statement, in milliseconds per call."""

    statement: str
    role: Literal["reads", "writes", "both"]
    calls: float
    n: int
    with_ms: float
    without_ms: float


class StatementRow(_Part):
    """One statement and one index."""

    effect: EffectRow
    present: SideRow | None
    absent: SideRow | None


class IndexRow(_Part):
    """One index."""

    name: str
    table: str
    bytes: int
    verdict: VerdictRow
    is_candidate: bool
    balance: BalanceRow | None
    wal_bytes: float | None
    regions: tuple[RegionRow, ...]
    statements: tuple[StatementRow, ...]
    scans: float | None


class IndexesFile(_Part):
    """The whole file; ``run_id`` is the run whose calls are the weights, None where sessions were played instead."""

    schema_version: int
    run_id: str | None
    unit: str
    server: str
    variant: str
    scale: str
    plays: int
    costs_measured: bool
    notes: tuple[str, ...]
    indexes: tuple[IndexRow, ...]


def read_indexes_file(folder: Path) -> IndexesFile | None:
    """Return what is known of the indexes of a run's schema, or None; UsageError for a file that is none."""
    path = folder / INDEXES_NAME
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        check_version(f"'{path}'", int(document.get("schema_version", 0)), INDEXES_VERSION)
        return IndexesFile.model_validate(document)
    except ValidationError as error:
        cause = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
    except (OSError, ValueError, AttributeError) as error:
        cause = str(error)
    raise UsageError(
        f"'{path}' is not a file of `bench indexes`", cause=cause, hint="remove it, or run `bench indexes`"
    )
