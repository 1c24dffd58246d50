"""The audit's findings as lines of text."""

from collections.abc import Iterable, Iterator

from rich.markup import escape

from bench.metrics.outcome import Finding


def finding_lines(findings: Iterable[Finding]) -> Iterator[str]:
    """Yield a line for each rule, and under a broken one its witness and the SQL to see it."""
    for finding in findings:
        mark = "[green]ok   [/]" if finding.passed else "[bold red]WRONG[/]"
        count = "" if finding.passed else f" ({finding.violations:,} violations)"
        detail = f": {finding.detail}" if finding.detail else ""
        yield f"{mark} {escape(finding.title)}{count}{escape(detail)}"
        for row in finding.witness:
            yield "      " + escape(", ".join(f"{name} {value}" for name, value in row.items()))
        if finding.look:
            yield "      look: " + escape(" ".join(finding.look.split()))
