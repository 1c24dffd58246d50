"""The audit's findings as lines of text."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.markup import escape

from bench.metrics.outcome import Finding

WITNESSES_SHOWN = 10


def finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield a line for each rule, and under a broken one its witness and the SQL to see it."""
    for finding in findings:
        mark = "[green]ok   [/]" if finding.passed else "[bold red]WRONG[/]"
        count = "" if finding.passed else f" ({finding.violations:,} violations)"
        detail = f": {finding.detail}" if finding.detail else ""
        yield f"{mark} {escape(finding.title)}{count}{escape(detail)}"
        yield from (f"      {escape(line)}" for line in _witness(finding.witness))
        if finding.look:
            yield "      look: " + escape(" ".join(finding.look.split()))


def _witness(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Yield what all rows share once, then what tells them apart."""
    if not rows:
        return
    shared = {name: value for name, value in rows[0].items() if all(row.get(name) == value for row in rows)}
    if shared:
        yield _pairs(shared)
    if len(rows) > 1:
        for row in rows[:WITNESSES_SHOWN]:
            yield "- " + _pairs({name: value for name, value in row.items() if name not in shared})
    if len(rows) > WITNESSES_SHOWN:
        yield f"- and {len(rows) - WITNESSES_SHOWN} more"


def _pairs(row: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items())
