"""What ``bench indexes`` prints and writes: the verdicts as text, as Markdown, and all that was found as JSON."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from bench import __version__
from bench.cli.index_experiment import Outcome
from bench.db.dialects import dialect_named
from bench.indexes.results import IndexResult, StatementResult
from bench.results.indexing import INDEXES_VERSION
from bench.stats.indexing import Interval, Word
from bench.units import format_bytes, format_ms

ORDER: tuple[Word, ...] = (
    "duplicate",
    "costs more than it gives",
    "unused",
    "can't tell",
    "worth it",
    "essential",
    "constraint",
)
"""What is to be acted on comes first."""
NOTE_WIDTH = 160
_SUPERFLUOUS: tuple[Word, ...] = ORDER[:3]


def unit(outcome: Outcome) -> str:
    """Return what gains and costs are counted in."""
    return "ms per second of the run" if outcome.calls else "ms per session, every session as often as any other"


def ordered(results: Iterable[IndexResult]) -> list[IndexResult]:
    """Return the results by verdict, of each the largest net effect first."""
    return sorted(results, key=lambda r: (ORDER.index(r.verdict.word), -abs(_net(r)), r.name))


def _net(result: IndexResult) -> float:
    return result.balance.net.estimate if result.balance else 0.0


def headline(results: Sequence[IndexResult]) -> str:
    """Return the answer in one line."""
    parts = []
    for word in _SUPERFLUOUS:
        names = [r.name for r in ordered(results) if r.verdict.word == word]
        if names:
            parts.append(f"{word}: {', '.join(names[:4])}{f' and {len(names) - 4} more' if len(names) > 4 else ''}")
    counts = [
        f"{sum(r.verdict.word == word for r in results)} {word}" for word in ("essential", "worth it", "can't tell")
    ]
    return "; ".join([*parts, ", ".join(counts)])


def text_lines(outcome: Outcome) -> Iterator[str]:
    """Yield the lines for a terminal."""
    shown = [r for r in ordered(outcome.results) if r.verdict.word != "constraint"]
    kept = [r for r in outcome.results if r.verdict.word == "constraint"]
    yield headline(outcome.results)
    yield f"gain and cost in {unit(outcome)}, with 95 % intervals; {_where(outcome)}"
    yield ""
    rows: list[tuple[str, ...]] = [("verdict", "index", "gain", "cost", "size")] if shown else []
    for result in shown:
        name = f"{result.name}{' (tried)' if result.is_candidate else ''}"
        rows.append((result.verdict.word, name, *map(_interval, _sides(result)), format_bytes(result.bytes)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for word, name, *numbers in rows:
        cells = [text.rjust(width) for text, width in zip(numbers, widths[2:], strict=True)]
        yield "  ".join([word.ljust(widths[0]), name.ljust(widths[1]), *cells])
    if kept:
        yield f"constraint: {len(kept)} indexes keep rows apart ({format_bytes(sum(r.bytes for r in kept))})"
    for note in outcome.notes:
        yield f"note: {textwrap.shorten(note, NOTE_WIDTH, placeholder=' …')}"


def _sides(result: IndexResult) -> tuple[Interval | None, Interval | None]:
    return (result.balance.gain, result.balance.cost) if result.balance else (None, None)


def _interval(found: Interval | None) -> str:
    if found is None:
        return "not measured"
    if found.low is None or found.high is None:
        return f"{found.estimate:.3g} [?]"
    if found.estimate == found.low == found.high == 0:
        return "0"
    return f"{found.estimate:.2g} [{found.low:.2g}, {found.high:.2g}]"


def _where(outcome: Outcome) -> str:
    place = outcome.place
    weights = f"calls of run {outcome.calls.run_id}" if outcome.calls else "no run to weight by"
    return f"{weights}; {_server(outcome)}, {place.schema.variant}, scale {place.meta.get('scale', '?')}"


def _server(outcome: Outcome) -> str:
    return f"{dialect_named(outcome.place.dialect).title} {outcome.place.server_version}"


def markdown(outcome: Outcome) -> str:
    """Return everything that a person reads."""
    lines = ["# Indexes", "", f"**{headline(outcome.results)}**", ""]
    lines += [f"Gain and cost in {unit(outcome)}, with 95 % intervals. {_where(outcome)}.", ""]
    lines += [f"- {note}" for note in outcome.notes]
    lines += ["", "| Index | Verdict | Why | Gain | Cost | Log bytes | Size | Scans in the run |"]
    lines += ["| --- | --- | --- | --- | --- | ---: | ---: | ---: |"]
    for result in ordered(outcome.results):
        gain, cost = (_interval(part) for part in _sides(result))
        cells = (
            *(
                f"`{result.name}`{' (tried)' if result.is_candidate else ''}",
                result.verdict.word,
                result.verdict.reason,
            ),
            *(gain, cost, _number(result.wal_bytes), format_bytes(result.bytes), _number(result.scans)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    for result in ordered(outcome.results):
        if result.statements:
            lines += ["", *_details(result)]
    return "\n".join(lines) + "\n"


def _details(result: IndexResult) -> Iterator[str]:
    yield f"## `{result.name}`: {result.verdict.word}"
    yield ""
    yield f"`{result.definition}`"
    yield ""
    if result.foreign_keys:
        yield f"Finds rows for {', '.join(result.foreign_keys)} when what they refer to is deleted."
        yield ""
    yield "| Statement | Role | Calls | n | With | Without | Saved, ms | Rows | Blocks | Log bytes | HOT |"
    yield "| --- | --- | ---: | ---: | ---: | ---: | --- | --- | --- | --- | --- |"
    yield from map(_statement, result.statements)
    for each in result.statements:
        if each.effect.role != "writes" and each.present and each.absent:
            yield ""
            yield f"`{each.effect.statement}`: `{each.present.plan}`, without it `{each.absent.plan}`"
    if result.regions:
        parts = [
            f"{r.region} gain {_interval(r.balance.gain)}, cost {_interval(r.balance.cost)}" for r in result.regions
        ]
        yield ""
        yield f"By region: {'; '.join(parts)}."


def _statement(each: StatementResult) -> str:
    effect = each.effect
    pairs = (_change(each, name) for name in ("rows", "blocks", "wal_bytes", "hot_share"))
    times = (format_ms(effect.with_ms), format_ms(effect.without_ms), _interval(effect.saved_ms))
    return f"| {' | '.join((effect.statement, effect.role, f'{effect.calls:.3g}', str(effect.n), *times, *pairs))} |"


def _change(each: StatementResult, name: str) -> str:
    before, after = (_number(getattr(side, name) if side else None) for side in (each.present, each.absent))
    return f"{before} → {after}" if before else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if abs(value) >= 10 else f"{value:.2g}"


def document(outcome: Outcome) -> str:
    """Return all that was found, as JSON."""
    found: dict[str, Any] = {
        "schema_version": INDEXES_VERSION,
        "bench_version": __version__,
        "created_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "run_id": outcome.calls.run_id if outcome.calls else None,
        "unit": unit(outcome),
        "server": _server(outcome),
        "variant": outcome.place.schema.variant,
        "schema_fingerprint": outcome.place.schema.fingerprint,
        "scale": outcome.place.meta.get("scale", ""),
        "data_fingerprint": outcome.place.meta.get("data_fingerprint", ""),
        "plays": outcome.plays,
        "costs_measured": outcome.costs_measured,
        "notes": list(outcome.notes),
        "indexes": [asdict(result) for result in ordered(outcome.results)],
    }
    return json.dumps(found, indent=1, allow_nan=False) + "\n"
