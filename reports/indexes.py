"""Which index gives more than it costs: what ``bench indexes`` wrote into the folder of a run."""

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from bench.results.indexing import IndexesFile, IndexRow, IntervalRow, read_indexes_file
from bench.stats.indexing import Word
from bench.units import format_bytes

from .drawing import canvas
from .facts import Facts
from .model import Block, Cell, CellKind, Figure, Folded, Row, Section, Text, table
from .numbers import MISSING, count, ms
from .svg import ALARM, INK, MUTED, to_svg

TITLE = "Which index gives more than it costs?"
_KINDS: dict[Word, CellKind] = {
    "essential": "good",
    "worth it": "good",
    "duplicate": "bad",
    "unused": "bad",
    "costs more than it gives": "bad",
    "can't tell": "caution",
}
_SUPERFLUOUS = ("duplicate", "unused", "costs more than it gives")


def indexes(facts: Facts) -> tuple[Section, ...]:
    """The verdict on each index; nothing where ``bench indexes`` has not looked at the run's schema."""
    found = read_indexes_file(facts.folder)
    if found is None:
        return ()
    return (Section("indexes", TITLE, tuple(_blocks(found))),)


def _blocks(found: IndexesFile) -> Iterable[Block]:
    yield _lead(found)
    weighed = [row for row in found.indexes if row.balance is not None]
    if weighed:
        caption = (
            f"In {found.unit}, on {found.server}, scale {found.scale}. Lines are 95 % intervals. Below zero lies what slows "
            "readers or speeds up writers; the scale is linear around zero and logarithmic beyond. "
            "What lies right of its cost is worth its keep."
        )
        yield Figure("indexes", TITLE, _figure(weighed, found.unit), _alt(weighed), caption)
    head = ("index", "verdict", "why", "#gain", "#cost", "#log bytes", "#size", "#scans in the run")
    note = f"Gain and cost in {found.unit}; in brackets the 95 % interval. A statement was timed in {found.plays} sessions."
    yield table("Indexes", head, [_row(row) for row in found.indexes], note)
    for row in found.indexes:
        if row.statements:
            yield Folded(f"{row.name}: {row.verdict.word}", tuple(_details(row)))
    for text in found.notes:
        yield Text(text)


def _lead(found: IndexesFile) -> Text:
    named = [row.name for row in found.indexes if row.verdict.word in _SUPERFLUOUS]
    if named:
        return Text(f"To drop, or to look at: {', '.join(named)}.", "caution")
    open_ones = sum(row.verdict.word == "can't tell" for row in found.indexes)
    return Text(f"None was found to be superfluous; of {open_ones} it cannot be told.")


def _row(row: IndexRow) -> Row:
    word = row.verdict.word
    gain, cost = (row.balance.gain, row.balance.cost) if row.balance else (None, None)
    return (
        Cell(f"{row.name} (tried)" if row.is_candidate else row.name, "code"),
        Cell(word, _KINDS.get(word, "text")),
        row.verdict.reason,
        _interval(gain),
        _interval(cost),
        MISSING if row.wal_bytes is None else count(row.wal_bytes),
        format_bytes(row.bytes),
        MISSING if row.scans is None else count(row.scans),
    )


def _interval(found: IntervalRow | None) -> Cell:
    if found is None:
        return Cell(MISSING, "number")
    if found.low is None or found.high is None:
        return Cell(_figured(found.estimate), "number", "no interval")
    return Cell(_figured(found.estimate), "number", f"[{_figured(found.low)}, {_figured(found.high)}]")


def _figured(value: float) -> str:
    return f"{value:.2g}"


def _details(row: IndexRow) -> Iterable[Block]:
    cells: list[Row] = []
    for each in row.statements:
        effect = each.effect
        blocks = [
            MISSING if side is None or side.blocks is None else count(side.blocks)
            for side in (each.present, each.absent)
        ]
        times = (ms(effect.with_ms), ms(effect.without_ms))
        cells.append(
            (Cell(effect.statement, "code"), effect.role, f"{effect.calls:.3g}", count(effect.n), *times, *blocks)
        )
    head = ("statement", "role", "#calls", "#sessions", "#with", "#without", "#blocks with", "#blocks without")
    yield table(f"Statements that {row.name} concerns", head, cells)
    for each in row.statements:
        if each.effect.role != "writes" and each.present and each.absent:
            yield Text(f"{each.effect.statement} with it: {each.present.plan}. Without it: {each.absent.plan}.")
    regions: list[Row] = [
        (Cell(part.region, "region"), _interval(part.balance.gain), _interval(part.balance.cost))
        for part in row.regions
    ]
    if regions:
        yield table(f"{row.name} by region", ("region", "#gain", "#cost"), regions)


def _figure(rows: Sequence[IndexRow], unit: str) -> str:
    """Draw gain (filled) and cost (hollow) of each index on one axis, with their intervals and their names."""
    shown = list(reversed(rows))
    with canvas(1.6 + 0.3 * len(shown)) as figure:
        axes = figure.subplots()
        for at, row in enumerate(shown):
            assert row.balance is not None
            _mark(axes, at + 0.16, row.balance.gain, ("o", INK, INK), "gain" if not at else None)
            if row.balance.cost is not None:
                _mark(axes, at - 0.16, row.balance.cost, ("s", ALARM, "none"), "cost" if not at else None)
        _scale(axes, _threshold(rows))
        axes.axvline(0, color=MUTED, linewidth=0.8)
        axes.set_yticks(range(len(shown)), [f"{row.name}: {row.verdict.word}" for row in shown])
        axes.set_xlabel(unit)
        axes.set_ylim(-0.6, len(shown) - 0.4)
        axes.grid(visible=False, axis="y")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        return to_svg(figure, "indexes", _alt(rows))


def _mark(axes: Axes, at: float, found: IntervalRow, look: tuple[str, str, str], label: str | None) -> None:
    marker, colour, face = look
    if found.low is not None and found.high is not None:
        axes.plot([found.low, found.high], [at, at], color=colour, linewidth=1.2)
    axes.plot(
        [found.estimate],
        [at],
        marker=marker,
        color=colour,
        markerfacecolor=face,
        markersize=5,
        linestyle="none",
        label=label,
    )


def _scale(axes: Axes, threshold: float) -> None:
    """Linear up to the threshold, logarithmic beyond, with ticks where they do not crowd."""
    axes.set_xscale("symlog", linthresh=threshold, linscale=0.5)
    low, high = axes.get_xlim()
    powers = [10.0**power for power in range(-9, 10) if threshold < 10.0**power]
    ticks = [0.0, *(sign * power for power in powers for sign in (1, -1) if low <= sign * power <= high)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.xaxis.set_minor_locator(NullLocator())


def _threshold(rows: Sequence[IndexRow]) -> float:
    """Where the linear part of the axis ends: a hundredth of the largest gain or cost."""
    sides = [side for row in rows if row.balance for side in (row.balance.gain, row.balance.cost) if side]
    return max((abs(side.estimate) for side in sides), default=0.0) / 100 or 1e-6


def _alt(rows: Sequence[IndexRow]) -> str:
    best = max(rows, key=lambda row: row.balance.net.estimate if row.balance else 0.0)
    return f"Gain and cost of {len(rows)} indexes with intervals; {best.name} gives most. The table has the figures."
