"""What indexes say by their columns alone."""

import pytest

from bench.db.indexing import ForeignKeyFacts, IndexFacts, candidate_name
from bench.errors import UsageError
from bench.indexes.structure import Twin, serves, touched_by_deletes, twins


def index(name: str, *keys: str, **changes) -> IndexFacts:
    given = {
        **{"table": "t", "method": "btree", "is_unique": False, "definition": "", "predicate": ""},
        **{"includes": (), "bytes": 8192},
    }
    given |= changes
    return IndexFacts(name=name, keys=tuple(f"{key} 0 0 0" if " " not in key else key for key in keys), **given)


def test_of_two_alike_the_later_one_is_superfluous():
    assert twins([index("a", "x", "y"), index("b", "x", "y")]) == {"b": Twin("a", True)}


def test_an_index_that_begins_another_is_superfluous():
    assert twins([index("a", "x"), index("b", "x", "y")]) == {"a": Twin("b", False)}
    assert twins([index("b", "x", "y", is_unique=True), index("a", "x")]) == {"a": Twin("b", False)}


@pytest.mark.parametrize(
    "other",
    [
        index("b", "y", "x"),
        index("b", "x 0 0 3", "y"),
        index("b", "x", "y", table="u"),
        index("b", "x", "y", predicate="(x > 1)"),
        index("b", "x", "y", method="gin"),
    ],
    ids=["order of columns", "direction", "table", "predicate", "method"],
)
def test_what_differs_is_no_duplicate(other):
    assert twins([index("a", "x"), other]) == {}


def test_unique_indexes_are_never_superfluous():
    assert twins([index("a", "x", is_unique=True), index("b", "x", is_unique=True)]) == {}
    assert twins([index("a", "x"), index("b", "x", is_unique=True)]) == {"a": Twin("b", True)}


def test_included_columns_have_to_be_in_the_other():
    assert twins([index("a", "x", includes=("z",)), index("b", "x", "y")]) == {}
    assert twins([index("a", "x", includes=("y",)), index("b", "x", "y")]) == {"a": Twin("b", False)}


def test_only_b_trees_are_ordered_by_their_first_columns():
    assert twins([index("a", "x", method="gin"), index("b", "x", "y", method="gin")]) == {}


def test_none_stands_in_for_another_that_goes_itself():
    found = twins([index("a", "x"), index("b", "x"), index("c", "x")])
    assert found == {"b": Twin("a", True), "c": Twin("a", True)}


def test_references_served():
    key = ForeignKeyFacts("k", "t", ("region", "user_id"), "users", True)
    assert serves(index("a", "user_id", "region", "z"), [key]) == (key,)
    assert serves(index("a", "user_id"), [key]) == ()
    assert serves(index("a", "region", "user_id", predicate="(z)"), [key]) == ()


def test_deletes_reach_as_far_as_they_cascade():
    keys = [
        ForeignKeyFacts("a", "carts", ("u",), "users", True),
        ForeignKeyFacts("b", "items", ("c",), "carts", True),
        ForeignKeyFacts("c", "orders", ("u",), "users", False),
    ]
    assert touched_by_deletes(["users"], keys) == {"users", "carts", "items"}


@pytest.mark.parametrize(
    "text", ["CREATE INDEX a ON t (x)", "create index a on t using gin (x);", ' CREATE INDEX "a" ON t(x)']
)
def test_candidates(text):
    assert candidate_name(text) == ("a", "t")


@pytest.mark.parametrize(
    "text",
    [
        "DROP TABLE t",
        "CREATE INDEX a ON t (x); DROP TABLE t",
        "CREATE UNIQUE INDEX a ON t (x)",
        "CREATE INDEX ON t (x)",
        "CREATE INDEX CONCURRENTLY a ON t (x)",
    ],
)
def test_what_is_no_candidate_is_refused(text):
    with pytest.raises(UsageError, match="is not an index to try"):
        candidate_name(text)
