"""How the facts of ``bench.db.facts`` about sessions, the protocol and concurrency are asked for.

May import its neighbours in ``bench.db`` and psycopg.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg

from bench.db.bulk import copy_block
from bench.db.lab import Lab
from bench.db.smoke_checks import listed, shown
from bench.db.taxonomy import classify
from bench.db.wire import Prepared, Wire

ECHO: Mapping[str, Any] = {
    "number": 2**40,
    "text": 'O\'Neil, "x" \\ {}',
    "flag": True,
    "id": UUID(int=7),
    "amount": Decimal("12.50"),
    "texts": ["a,b", 'c"d', "", None],
    "numbers": [1, 2, None],
    "document": '{"a": "ü"}',
}


def takes_options(lab: Lab) -> str:
    """Find an isolation that is set by the connection, with a blank in it."""
    connection = lab.another("default_transaction_isolation=read committed", "lock_timeout=2s")
    return shown(lab.ask("isolation", connection))


def times_out(lab: Lab) -> str:
    """Find what becomes of a statement that takes longer than it may."""
    return shown(lab.ask("smoke_sleep", lab.another("statement_timeout=200")))


def _wire(lab: Lab) -> Callable[..., Any]:
    wire = Wire(lab.connection)
    return lambda name, params=None: wire.execute(Prepared.of(lab.catalogue[name]), params)


def echoes(lab: Lab) -> str:
    """Find whether values come back as they were sent, by the connection of the load."""
    [row] = _wire(lab)("smoke_echo", ECHO)
    wanted = (*list(ECHO.values())[:-1], "ü")
    wrong = [name for name, sent, got in zip(ECHO, wanted, row, strict=True) if sent != got]
    return listed(wrong)


def prepared_outlives_rollback(lab: Lab) -> str:
    """Find whether a statement that was prepared in a transaction is still there after ROLLBACK."""
    send = _wire(lab)
    lab.ask("rehearsal_begin")
    send("smoke_one")
    lab.ask("rehearsal_end")
    return shown(send("smoke_one"))


def batch_is_one_transaction(lab: Lab) -> str:
    """Find what is left of two statements in one exchange, of which the second is refused."""
    wire = Wire(lab.connection)
    before = lab.ask("smoke_count")
    put, divide = (Prepared.of(lab.catalogue[name]) for name in ("smoke_put", "smoke_divide"))
    try:
        list(wire.batch([(put, (99,)), (divide, None)]))
    except psycopg.Error:
        return "nothing" if lab.ask("smoke_count") == before else "the first"
    return "both"


def fails_until_rollback(lab: Lab) -> str:
    """Find what a transaction says to a statement after one that failed."""
    lab.ask("rehearsal_begin")
    try:
        lab.ask("smoke_divide")
    except psycopg.Error:
        return shown(lab.ask("smoke_one"))
    return "no failure"


def commit_of_failure_ends_it(lab: Lab) -> str:
    """Find whether a transaction is still open after a COMMIT that was sent when it had failed."""
    lab.ask("rehearsal_begin")
    try:
        lab.ask("smoke_divide")
    except psycopg.Error:
        lab.ask("end_snapshot")
    return lab.connection.info.transaction_status.name.lower()


def copies(lab: Lab) -> str:
    """Find how many rows came by COPY."""
    copy_block(lab.connection, "smoke_items", ("id", "units", "name"), b"50\t1\ta\\tb\n51\t1\t\\N\n", "text")
    return shown(lab.ask("smoke_count"))


def sequence_goes_on(lab: Lab) -> str:
    """Find the number after the one that a sequence was set to."""
    lab.ask("smoke_sequence_make")
    lab.ask("set_sequence", name="smoke_numbers", value=41)
    return shown(lab.ask("smoke_sequence_next"))


# -- several sessions


def conflict_is_told(lab: Lab) -> str:
    """Find how a transaction ends whose row another one has changed since it was read."""
    mine, other = lab.another("default_transaction_isolation=serializable"), lab.another()
    lab.ask("rehearsal_begin", mine)
    lab.ask("smoke_look", mine)
    lab.ask("smoke_take", other)
    try:
        lab.ask("smoke_take", mine)
        lab.ask("end_snapshot", mine)
    except psycopg.Error as error:
        refusal = classify(error.sqlstate, str(error), at_commit=False)
        known = "reason unknown" if refusal.reason == "serialization_failure" else "reason known"
        return f"{error.sqlstate}, {known}, {refusal.action}"
    return "no conflict"


def locked_rows_are_skipped(lab: Lab) -> str:
    """Find the first row that another session's lock leaves free."""
    holder = lab.another()
    lab.ask("rehearsal_begin", holder)
    lab.ask("smoke_lock", holder)
    return shown(lab.ask("smoke_skip", lab.another()))


def nobody_is_throttled(lab: Lab) -> str:
    """Find how many transactions may be open at once, up to the one more than an unlicensed cluster allows."""
    count = 0
    for _ in range(6):
        connection = lab.another()
        lab.ask("rehearsal_begin", connection)
        lab.ask("smoke_one", connection)
        count += 1
    return f"{count} at once"


def advisory_locks(lab: Lab) -> str:
    """Find whether two sessions can have the same lock."""
    return ", ".join(shown(lab.ask("smoke_advisory_lock", lab.another())) for _ in range(2))
