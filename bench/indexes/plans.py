"""What a server's EXPLAIN says: which indexes, how much was read and written, and the plan in one line.  Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.db.indexing import PlanForm

_SCANS = ("Scan", "Seek")
_COCKROACH_TABLE = re.compile(r"table: (?:\w+\.)*(\w+)@([\w.]+)")
_COCKROACH_OPERATOR = re.compile(r"•\s*(.+?)\s*$")
_COCKROACH_READ = re.compile(r"rows decoded from KV: ([\d,]+) \(([\d.,]+) (B|KiB|MiB|GiB)")
_UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan: its indexes, ``text`` in one line, and after ANALYZE what the statement read and wrote.

    ``blocks`` are 8 KiB blocks, found in memory or read, and ``wal_bytes`` what went to the log (PostgreSQL);
    ``read_bytes`` come from the key-value layer (CockroachDB).
    """

    indexes: frozenset[str]
    sought: frozenset[str]
    """Those of them in which a value is looked for; the others are read from one end."""
    text: str
    rows: float | None = None
    blocks: int | None = None
    read_bytes: float | None = None
    wal_bytes: int | None = None


def read_plan(form: PlanForm, rows: Sequence[Sequence[Any]], parts: Mapping[str, str]) -> Plan:
    """Return the plan in the rows of an EXPLAIN; ``parts`` gives the whole index of each partition's."""
    if form == "text":
        return _cockroach([str(row[0]) for row in rows])
    found: Any = rows[0][0]
    document = json.loads(found) if isinstance(found, str) else found
    if isinstance(document[0], str):  # REFRESH and the like have no plan
        return Plan(frozenset(), frozenset(), document[0])
    top = document[0]["Plan"]
    nodes = list(_nodes(top))
    scans = [node for node in nodes if "Index Name" in node]
    sought = [node for node in scans if "Index Cond" in node]
    return Plan(
        _names(scans, parts),
        _names(sought, parts),
        _line(top, parts),
        sum(map(_scanned, nodes)) if "Actual Rows" in top else None,
        top["Shared Hit Blocks"] + top["Shared Read Blocks"] if "Shared Hit Blocks" in top else None,
        None,
        top.get("WAL Bytes"),
    )


def _names(scans: Iterable[Mapping[str, Any]], parts: Mapping[str, str]) -> frozenset[str]:
    return frozenset(parts.get(node["Index Name"], node["Index Name"]) for node in scans)


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _scanned(node: Mapping[str, Any]) -> float:
    """How many rows a scan looked at, those that it threw away among them."""
    if "Relation Name" not in node or not node["Node Type"].endswith(_SCANS):
        return 0.0
    rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return float(rows * node["Actual Loops"])


def _line(node: Mapping[str, Any], parts: Mapping[str, str]) -> str:
    kind = node["Node Type"]
    name = f"{node['Operation']}" if kind == "ModifyTable" else kind
    words = [name, *(node[key] for key in ("Relation Name",) if key in node)]
    if "Index Name" in node:
        words.append(f"by {parts.get(node['Index Name'], node['Index Name'])}")
    inner = [_line(child, parts) for child in node.get("Plans", ())]
    if len(inner) == 1:
        return f"{' '.join(words)} > {inner[0]}"
    return f"{' '.join(words)} ({'; '.join(inner)})" if inner else " ".join(words)


def _cockroach(lines: Iterable[str]) -> Plan:
    text = list(lines)
    tables = [match.groups() for line in text if (match := _COCKROACH_TABLE.search(line))]
    operators = [match[1] for line in text if (match := _COCKROACH_OPERATOR.search(line))]
    read = next((match for line in text if (match := _COCKROACH_READ.search(line))), None)
    scans = [f"{table}@{index}" for table, index in tables]
    return Plan(
        frozenset(index for _, index in tables),
        frozenset(index for _, index in tables),
        f"{' > '.join(operators)} ({', '.join(scans)})" if scans else " > ".join(operators),
        float(read[1].replace(",", "")) if read else None,
        None,
        float(read[2].replace(",", "")) * _UNITS[read[3]] if read else None,
        None,
    )


_WRITTEN = re.compile(
    r"\bINSERT\s+INTO\s+(\w+)|\bDELETE\s+FROM\s+(\w+)|(?<!FOR )(?<!DO )\bUPDATE\s+(\w+)", re.IGNORECASE
)
_DELETED = re.compile(r"\bDELETE\s+FROM\s+(\w+)", re.IGNORECASE)


def written_tables(sql: str) -> frozenset[str]:
    """Return the tables that a statement writes to.

    >>> sorted(written_tables("INSERT INTO a SELECT 1 FROM b ON CONFLICT (x) DO UPDATE SET y = 1"))
    ['a']
    >>> sorted(written_tables("SELECT 1 FROM a FOR UPDATE OF a")), sorted(written_tables("UPDATE a SET b = 1"))
    ([], ['a'])
    """
    return frozenset(name for groups in _WRITTEN.findall(" ".join(sql.split())) for name in groups if name)


def deleted_tables(sql: str) -> frozenset[str]:
    """Return the tables that a statement deletes from.

    >>> sorted(deleted_tables("DELETE FROM a WHERE b = 1"))
    ['a']
    """
    return frozenset(_DELETED.findall(sql))
