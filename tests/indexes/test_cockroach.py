"""What is sent to CockroachDB, as text: there is no server here to run it on."""

from typing import Any

import pytest

from bench.db.admin import Admin, admin_catalogue
from bench.db.indexing import CockroachLab, IndexFacts, drop_if_there

INDEX = IndexFacts(
    "idx_a", "orders", "prefix", False, "CREATE INDEX idx_a ON orders (user_id)", "", ("user_id ASC",), (), 0
)


class Wire:
    """Keeps what it is sent."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def execute(self, statement: Any) -> None:
        self.sent.append(statement)


def sent_to_cockroach() -> list[str]:
    """Everything that has an identifier or is made in Python."""
    wire: Any = Wire()
    lab = CockroachLab(Admin(wire, admin_catalogue("cockroach")))
    lab.set_apart(wire, INDEX)
    lab.hide(wire, INDEX)
    lab.show(wire)
    lab.put_back(wire, INDEX)
    lab.drop(wire, INDEX)
    drop_if_there(wire, "cockroach", INDEX)
    plans = [f"{prefix} SELECT 1 FROM orders WHERE user_id = $1" for prefix in (lab.explain, lab.analyze)]
    return [*wire.sent, *plans, INDEX.definition]


def test_an_index_is_set_apart_and_the_session_chooses() -> None:
    assert sent_to_cockroach()[:6] == [
        'ALTER INDEX "orders"@"idx_a" NOT VISIBLE',
        "SET optimizer_use_not_visible_indexes = off",
        "SET optimizer_use_not_visible_indexes = on",
        'ALTER INDEX "orders"@"idx_a" VISIBLE',
        'DROP INDEX "orders"@"idx_a"',
        'DROP INDEX IF EXISTS "orders"@"idx_a"',
    ]


@pytest.mark.parametrize("name", ["index_facts", "index_sizes", "foreign_keys", "open_arm", "undo_trial"])
def test_the_catalogue_has_its_statements(name: str) -> None:
    assert admin_catalogue("cockroach")[name].sql
