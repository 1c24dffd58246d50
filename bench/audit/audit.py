"""Runs the rules of the audit and compares the journal with the orders, inside one snapshot that the caller holds.

May import ``bench.db`` (the statement catalogue) and ``metrics``; sends statements only through ``execute``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache

from bench.audit.journal import Comparison, Order, RunWindow
from bench.audit.rules import RULES, Rule
from bench.db.catalogue import Statement, read, read_package
from bench.db.placeholders import with_literals
from bench.metrics.frame import JournalEntry
from bench.metrics.outcome import Finding

Execute = Callable[[str, Mapping[str, object]], tuple[list[str], list[tuple[object, ...]]]]
"""Runs a statement of the catalogue by name and returns its column names and rows."""

PAGE = 20_000
BATCH = 1_000
_BEFORE_ALL = "00000000-0000-0000-0000-000000000000"
_JOURNAL_LOOK = "look_idempotency_key"


def run_audit(execute: Execute, journal: Sequence[JournalEntry] | None, run: RunWindow | None) -> tuple[Finding, ...]:
    """Return a finding for every rule; those of the journal only when there are a journal and a run.

    ``execute`` must answer from one consistent snapshot, else orders committed meanwhile look like faults.
    """
    findings = [check_rule(execute, rule) for rule in RULES]
    if journal is not None and run is not None:
        findings += _compare(execute, journal, run)
    return tuple(findings)


def check_rule(execute: Execute, rule: Rule) -> Finding:
    """Return what one rule finds."""
    columns, rows = execute(rule.statement, {})
    if not rows:
        return Finding(rule.name, rule.title, passed=True, violations=0)
    first = dict(zip(columns, rows[0], strict=True))
    shown = [(index, name) for index, name in enumerate(columns) if name != "violations" and name not in rule.hidden]
    return Finding(
        rule=rule.name,
        title=rule.title,
        passed=False,
        violations=int(str(first["violations"])),
        witness=tuple({name: _text(row[index]) for index, name in shown} for row in rows),
        look=_look(rule.look, first),
        detail=rule.describe({name: _text(value) for name, value in first.items()}),
    )


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def _look(name: str, values: Mapping[str, object]) -> str:
    return with_literals(_statements()[name].sql, values) + ";"


@cache
def _statements() -> Mapping[str, Statement]:
    return {statement.name: statement for statement in read([read_package("bench.audit", "sql")])}


def _compare(execute: Execute, journal: Sequence[JournalEntry], run: RunWindow) -> Iterator[Finding]:
    comparison = Comparison(journal, run)
    _, regions = execute("audit_regions", {})
    for (region,) in regions:
        _add_region(execute, comparison, run, str(region))
    # Whatever the run's time and tag did not find is looked up by its id before it is called missing.
    for region, ids in comparison.missing().items():
        for start in range(0, len(ids), BATCH):
            _, rows = execute("journalled_orders", {"region": region, "ids": ids[start : start + BATCH]})
            comparison.add(map(Order._make, rows))
    for finding in comparison.findings():
        look = _look(_JOURNAL_LOOK, finding.witness[0]) if finding.witness else ""
        yield replace(finding, look=look)


def _add_region(execute: Execute, comparison: Comparison, run: RunWindow, region: str) -> None:
    after = _BEFORE_ALL
    while True:
        values = {"region": region, "since": run.since, "tag": run.tag, "after": after, "page": PAGE}
        _, rows = execute("run_orders", values)
        comparison.add(map(Order._make, rows))
        if len(rows) < PAGE:
            return
        after = str(rows[-1][1])
