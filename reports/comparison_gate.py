"""The verdict of a gate, as text, as Markdown for a step summary, and as plain values for JSON."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

from bench.stats.gate import Gate

from .comparison import markdown_table

SCHEMA_VERSION = 1
# 1  first form.
MAX_REASONS = 12
_MEANS = {
    "PASS": "no judged figure got worse, and a worsening by {detect:.0%} is ruled out for each",
    "FAIL": "worse than the baseline, or an objective missed",
    "INCONCLUSIVE": "a worsening by {detect:.0%} is neither shown nor ruled out",
    "INVALID": "nothing can be said of this run",
    "DATA WRONG": "the data is not right, so how fast it came about does not matter",
}


def gate_text(title: str, gate: Gate, notes: Sequence[str]) -> str:
    """Return the verdict for a terminal."""
    lines = [f"gate: {gate.verdict} {title}", f"  {_means(gate)}"]
    lines += [f"  {reason}" for reason in _reasons(gate)]
    lines += [f"  note: {note}" for note in notes]
    if gate.sights:
        lines.append(
            f"judged {len(gate.checks)}, too few samples or too little time for {gate.unjudged} more; "
            "smallest worsening it could have seen:"
        )
        lines += [f"  {name}: {text}" for name, text in _sights(gate)]
    return "\n".join(lines)


def gate_markdown(title: str, gate: Gate, notes: Sequence[str]) -> str:
    """Return the verdict as Markdown."""
    lines = [f"## Gate: {gate.verdict}", "", f"{title}: {_means(gate)}.", ""]
    lines += [f"- {reason}" for reason in _reasons(gate)]
    lines += [f"- note: {note}" for note in notes]
    if gate.sights:
        rows = [(name, text) for name, text in _sights(gate)]
        lines += [
            "",
            f"Judged: {len(gate.checks)} figures; {gate.unjudged} more had too few samples or take too little time.",
            "",
        ]
        lines += markdown_table(("figure", "smallest worsening it could have seen"), rows, range(0))
    return "\n".join(lines) + "\n"


def gate_document(run: str, baseline: Sequence[str], gate: Gate, notes: Sequence[str]) -> dict[str, Any]:
    """Return the verdict as plain values."""
    return {
        "schema_version": SCHEMA_VERSION,
        "run": run,
        "baseline": list(baseline),
        "exit_code": int(gate.exit_code),
        "notes": list(notes),
        **dataclasses.asdict(gate),
    }


def _means(gate: Gate) -> str:
    return _MEANS[gate.verdict].format(detect=gate.limits.detect).replace("%", " %")


def _reasons(gate: Gate) -> Iterator[str]:
    yield from gate.reasons[:MAX_REASONS]
    if len(gate.reasons) > MAX_REASONS:
        yield f"and {len(gate.reasons) - MAX_REASONS} more"


def _sights(gate: Gate) -> Iterator[tuple[str, str]]:
    for sight in gate.sights:
        middle = f"{100 * sight.typical:.0f} %"
        if sight.figures == 1:
            yield sight.metric, middle
        else:
            yield (
                sight.metric,
                f"{middle} in the middle of {sight.figures}, {100 * sight.worst:.0f} % for {sight.worst_name}",
            )
