"""``bench explain-tail``."""

from collections.abc import Iterator
from pathlib import Path

import click

from bench.cli import console
from bench.metrics.frame import SlowSample
from bench.stats.records import Summary
from bench.stats.tail import Tail
from bench.stats.verdict import headline
from bench.units import format_ms

SLICES_SHOWN = 10
STATEMENTS_SHOWN = 2


@click.command("explain-tail")
@click.argument("run", default="last")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs.")
def command(run: str, out: Path) -> None:
    """Say what the slowest hundredth of RUN's transactions is made of: an id, the start of one, a path, or `last`.

    The slowest transactions kept are taken apart into the generator's lateness, the wait for a free user, each statement, the
    emulated distance, back-off and the client's own work; then the ten slowest are listed.
    """
    from bench.results.files import find_run
    from bench.results.read import Run
    from bench.results.summarise import summarise_run

    with Run.open(find_run(out, run)) as opened:
        summary = summarise_run(opened)
    for line in tail_lines(summary):
        console.out(line)


def tail_lines(summary: Summary) -> Iterator[str]:
    """Yield the lines to print; the verdict first where the measurement was not valid."""
    found = summary.tail
    head = headline(summary)
    if head.level != "good":
        yield f"{head.title}{f': {head.reasons[0]}' if head.reasons else ''}"
    if found is None:
        yield "no slow transaction of a measured phase was recorded"
        return
    yield f"{found.sentence}."
    yield from _slices(found)
    yield from _contention(found)
    yield ""
    yield "the slowest:"
    for sample in found.slowest:
        yield from _sample(sample)


def _slices(found: Tail) -> Iterator[str]:
    sign = "≥ " if found.threshold_at_least else ""
    yield (
        f"from {found.samples} of about {found.at_or_above} transactions at or above p99 "
        f"({sign}{format_ms(found.threshold_ms)}): the five slowest of each second are kept"
    )
    yield ""
    yield f"{'part':<52}{'share':>8}{'mean':>12}{'median of all':>16}"
    for part in found.slices[:SLICES_SHOWN]:
        usual = format_ms(part.usual_ms) if part.usual_ms is not None else ""
        yield f"{part.name[:51]:<52}{100 * part.share:>6.1f} %{format_ms(part.mean_ms):>12}{usual:>16}".rstrip()
    if len(found.slices) > SLICES_SHOWN:
        rest = sum(part.share for part in found.slices[SLICES_SHOWN:])
        yield f"and {len(found.slices) - SLICES_SHOWN} smaller parts, {100 * rest:.1f} % together"


def _contention(found: Tail) -> Iterator[str]:
    if found.key:
        yield f"contended for: {found.key} in {found.key_samples} of {found.samples}"
    if found.reasons:
        yield f"aborted attempts: {', '.join(f'{reason} {count}' for reason, count in found.reasons[:6])}"


def _sample(sample: SlowSample) -> Iterator[str]:
    yield (
        f"{format_ms(sample.response_ms):>9} at {sample.elapsed_s:.1f} s  {sample.region} {sample.transaction} "
        f"{sample.outcome}{f' {sample.key}' if sample.key else ''}"
    )
    statements = sorted(sample.statements, key=lambda item: -item[1])[:STATEMENTS_SHOWN]
    parts = [("late generator", sample.dispatch_ms), ("wait for a user", sample.wait_ms)]
    parts += [*((name, ms) for name, ms, *_ in statements), ("back-off", sample.backoff_ms)]
    spent = ", ".join(f"{name} {format_ms(ms)}" for name, ms in parts if ms >= 0.05)
    attempts = f"; {sample.attempts} attempts ({', '.join(sample.reasons)})" if sample.reasons else ""
    yield f"{'':11}{spent}{attempts}"
