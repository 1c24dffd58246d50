"""What can be said of indexes by looking at them: which hold what another holds, and which references they serve.  Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.db.indexing import ForeignKeyFacts, IndexFacts


@dataclass(frozen=True, slots=True)
class Twin:
    """The index that makes another one superfluous; ``is_same`` where both hold exactly the same."""

    name: str
    is_same: bool


def twins(indexes: Sequence[IndexFacts]) -> dict[str, Twin]:
    """Return, by name, each index that another one could stand in for: of two alike the later one.

    An index is a part of another if it is of the same table, method and condition, its columns are the first ones of the
    other's, in the same order and direction, and what it includes is in the other as well.
    Unique ones are never superfluous.
    """
    found: dict[str, Twin] = {}
    for place, index in enumerate(indexes):
        if index.is_unique:
            continue
        for other_place, other in enumerate(indexes):
            if other is index or other.name in found or not _is_part(index, other):
                continue
            is_same = len(index.keys) == len(other.keys) and set(index.includes) == set(other.includes)
            if is_same and not other.is_unique and other_place > place:
                continue
            found[index.name] = Twin(other.name, is_same)
            break
    return found


def _is_part(index: IndexFacts, other: IndexFacts) -> bool:
    alike = (index.table, index.method, index.predicate) == (other.table, other.method, other.predicate)
    held = {*other.columns, *other.includes}
    begins = other.keys[: len(index.keys)] == index.keys
    # Only a B-tree is ordered by its first columns; of other kinds every column counts.
    is_ordered = index.method in ("btree", "prefix") or len(index.keys) == len(other.keys)
    return alike and begins and is_ordered and set(index.includes) <= held


def serves(index: IndexFacts, keys: Iterable[ForeignKeyFacts]) -> tuple[ForeignKeyFacts, ...]:
    """Return the references whose rows the index finds: its first columns are the reference's, in any order."""
    if index.predicate or index.method not in ("btree", "prefix"):
        return ()
    return tuple(
        key for key in keys if key.table == index.table and set(index.columns[: len(key.columns)]) == set(key.columns)
    )


def touched_by_deletes(deleted: Iterable[str], keys: Sequence[ForeignKeyFacts]) -> frozenset[str]:
    """Return the tables in which rows go when rows of some tables are deleted, those tables among them."""
    found, waiting = set(), list(deleted)
    while waiting:
        table = waiting.pop()
        if table not in found:
            found.add(table)
            waiting += [key.table for key in keys if key.cascades and key.parent == table]
    return frozenset(found)
