"""The summary of a run on the terminal: the verdict first, at most 25 lines of at most 100 columns, the paths last.

Only ``console`` prints.  Columns have fixed widths and there are no boxes, so the text reads the same in a pipe; print it
without wrapping (rich: ``soft_wrap=True``).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Group as Renderables
from rich.text import Text

from bench.metrics.outcome import StockRow
from bench.stats.outages import outage_line
from bench.stats.records import Arrivals, Group, Latency, Summary
from bench.stats.verdict import headline, plural
from bench.units import format_duration, format_ms

WIDTH = 100
MAX_REGIONS = 8
MAX_LINES = 25
MAX_REASONS = 3
MAX_OUTAGES = 2
_STYLES = {"good": "bold green", "caution": "bold yellow", "bad": "bold red"}
_HEAD = (
    f"{'':11}{'sessions/s':>17}{'tx/s':>8}{'response':>10}{'':30}{'service':>9}{'attempts':>9}\n"
    f"{'region':<11}{'offered':>8}{'answered':>9}{'commits':>8}"
    f"{'p50':>8}{'p95':>8}{'p99':>8}{'p99.9':>8}{'max':>8}{'p99':>9}{'/commit':>8}{'retry':>6}"
)
_DASH = "–"


def render_summary(summary: Summary, paths: Sequence[Path] = ()) -> Renderables:
    """Return the summary of a run as lines to print, without wrapping."""
    return Renderables(*_lines(summary, paths))


def summary_text(summary: Summary, paths: Sequence[Path] = ()) -> str:
    """Return the same as plain text."""
    return "\n".join(line.plain for line in _lines(summary, paths)) + "\n"


def _lines(summary: Summary, paths: Sequence[Path]) -> list[Text]:
    table = _table(summary) if summary.total.count else ()
    above = [*_verdict(summary), *table, *_aborts(summary), *_outages(summary)]
    below = [
        *_objectives(summary),
        _audit(summary),
        *(Text(str(path), no_wrap=True, overflow="ignore") for path in paths),
    ]
    lines = [*above, *_stock(summary, MAX_LINES - len(above) - len(below)), *below]
    for line in lines:
        line.rstrip()
    return lines


def _line(text: str, style: str = "") -> Text:
    return Text(_cut(text, WIDTH), style=style, no_wrap=True, overflow="ignore")


def _verdict(summary: Summary) -> Iterator[Text]:
    head = headline(summary)
    yield _line(head.title, _STYLES[head.level])
    shown = head.reasons if len(head.reasons) <= MAX_REASONS else head.reasons[: MAX_REASONS - 1]
    for reason in shown:
        yield _line(f"  {reason}")
    if len(shown) < len(head.reasons):
        yield _line(f"  and {len(head.reasons) - len(shown)} more reasons, in the report")


def _table(summary: Summary) -> Iterator[Text]:
    for line in _HEAD.split("\n"):
        yield _line(line, "dim")
    rows = list(zip(summary.regions, summary.arrivals, strict=True))
    for group, arrivals in rows[:MAX_REGIONS]:
        yield _row(group.region or "", group, arrivals)
    if len(rows) > MAX_REGIONS:
        yield _line(f"and {len(rows) - MAX_REGIONS} more regions, in the report")
    yield _row("all", summary.total, summary.total_arrivals)
    yield from _start_error(summary)
    far = [f"{region} {ms:.3g} ms" for region, ms in summary.distance_ms.items() if ms > 0]
    if far:
        yield _line(f"emulated distance included: {', '.join(far)}", "dim")


def _start_error(summary: Summary) -> Iterator[Text]:
    """How late sessions began, and how much of it was the generator's own."""
    seen = summary.generator
    if seen.lag_p50_ms is not None:
        own = "/".join(map(_short, (seen.dispatch_p50_ms, seen.dispatch_p99_ms, seen.dispatch_p999_ms)))
        whole = "/".join(map(_short, (seen.lag_p99_ms, seen.lag_p999_ms)))
        yield _line(f"start error: dispatch p50/p99/p99.9 {own}; schedule p99/p99.9 {whole}", "dim")


def _short(value: float | None) -> str:
    return format_ms(0.0 if value is not None and value < 0.0005 else value)


def _row(name: str, group: Group, arrivals: Arrivals) -> Text:
    response, service = group.response, group.service
    times = ("p50_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms")
    per_commit = _DASH if group.attempts_per_commit is None else f"{group.attempts_per_commit:.3f}"
    return _line(
        f"{name[:10]:<11}{_rate(arrivals.offered_per_s):>8}{_rate(arrivals.ended_per_s):>9}"
        f"{_rate(group.committed_per_s):>8}{''.join(f'{_time(response, name):>8}' for name in times)}"
        f"{_time(service, 'p99_ms'):>9}{per_commit:>8}{_count(group.retries):>6}"
    )


def _aborts(summary: Summary) -> Iterator[Text]:
    total = summary.total
    if not total.count:
        return
    if not total.aborts:
        yield _line("aborted attempts: none")
        return
    shown = ", ".join(f"{row.reason} {row.count:,} ({format_ms(row.wasted_ms)})" for row in total.aborts[:4])
    more = f", {len(total.aborts) - 4} more" if len(total.aborts) > 4 else ""
    wasted = format_ms(sum(row.wasted_ms for row in total.aborts))
    yield _line(f"aborted attempts: {shown}{more}; {wasted} wasted")
    if total.failed:
        failures = [row for row in total.outcomes if row.kind == "failure"]
        yield _line(f"failures: {', '.join(f'{row.outcome} {row.count:,}' for row in failures[:4])}")


def _outages(summary: Summary) -> Iterator[Text]:
    found = summary.outages
    for outage in found[:MAX_OUTAGES]:
        yield _line(outage_line(outage, summary.region_names), "yellow")
    if len(found) > MAX_OUTAGES:
        yield _line(f"and {plural(len(found) - MAX_OUTAGES, 'more outage')}, in the report")


def _stock(summary: Summary, room: int) -> Iterator[Text]:
    rows = summary.stock
    if not rows:
        return
    shown = len(rows) if len(rows) + 1 <= room else max(0, room - 2)
    yield _line(f"{'stock':<44}{'offered':>9}{'sold':>9}{'oversold':>10}{'left':>9}{'sold out after':>17}", "dim")
    # Oversold rows first, then those with most sold: what is cut off is what matters least.
    ordered = sorted(rows, key=lambda row: (-row.oversold, -row.sold))
    for row in ordered[:shown]:
        yield _stock_row(row)
    if len(rows) > shown:
        yield _line(_sums(f"all {len(rows)} rows", rows))


def _stock_row(row: StockRow) -> Text:
    gone = "not sold out" if row.sold_out_after_s is None else format_duration(row.sold_out_after_s)
    text = _sums(f"{_cut(row.item, 30)}, {row.region}", [row])
    return _line(f"{text}{gone:>17}", "red" if row.oversold else "")


def _sums(name: str, rows: Sequence[StockRow]) -> str:
    offered, sold = sum(row.offered for row in rows), sum(row.sold for row in rows)
    oversold, left = sum(row.oversold for row in rows), sum(row.left for row in rows)
    return f"{_cut(name, 43):<44}{offered:>9,}{sold:>9,}{oversold:>10,}{left:>9,}"


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _audit(summary: Summary) -> Text:
    during = _checks(summary)
    if not summary.is_audited:
        return _line(f"audit: did not run{during}")
    broken = summary.broken
    if not broken:
        return _line(f"audit: {plural(len(summary.findings), 'rule')} checked, all hold{during}")
    names = ", ".join(finding.rule for finding in broken)
    return _line(f"audit: {len(broken)} of {plural(len(summary.findings), 'rule')} broken: {names}{during}", "red")


def _objectives(summary: Summary) -> Iterator[Text]:
    """How many objectives hold; which do not is among the reasons of the verdict."""
    rows, missed = summary.objectives, summary.missed
    if rows and not missed:
        yield _line(f"objectives: {len(rows)}, all hold ({'; '.join(f'{row.objective}: {row.text}' for row in rows)})")
    elif rows:
        names = "; ".join(f"{row.objective}: {row.text}" for row in missed)
        yield _line(f"objectives: {len(missed)} of {len(rows)} missed ({names})", "red")


def _checks(summary: Summary) -> str:
    """What was found while the run went on."""
    if not summary.checks:
        return ""
    moments = len({check.elapsed_s for check in summary.checks})
    broken = sum(not check.passed for check in summary.checks)
    return f"; during the run {plural(moments, 'look')}, {plural(broken, 'check') if broken else 'none'} broken"


def _rate(value: float | None) -> str:
    if value is None:
        return _DASH
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _time(times: Latency, name: str) -> str:
    """A figure of a distribution in at most seven characters; a bound from below begins with ≥."""
    value: float | None = getattr(times, name)
    if value is None or name not in times.at_least:
        return _ms(value)
    return f"≥{value / 1000:.3g} s" if value >= 1000 else f"≥{value:.0f} ms"


def _ms(value: float | None) -> str:
    """Milliseconds in at most seven characters: a column of them lines up."""
    if value is None:
        return _DASH
    if value >= 100_000:
        return f"{value / 1000:.0f} s"
    if value >= 1000:
        return f"{value / 1000:.2f} s"
    return f"{value:.0f} ms" if value >= 100 else f"{value:.1f} ms"


def _count(value: int) -> str:
    return f"{value:,}" if value < 100_000 else f"{value / 1000:,.0f}k"
