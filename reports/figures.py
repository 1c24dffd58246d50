"""The figures of a run, each the answer to one question.  A colour is a region in all of them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from bench.metrics.frame import Event
from bench.metrics.outcome import StockRow
from bench.results.timeline import Timeline
from bench.stats.censoring import Times
from bench.stats.phases import Phase
from bench.stats.records import AbortDetail, Group
from bench.stats.validity import ENDINGS

from .svg import ALARM, BACK, INK, MARKERS, MUTED, SHADE, SHADE_STRONG, STYLE, region_colours, to_svg

WIDTH_IN = 9.0


@dataclass(frozen=True, slots=True)
class Look:
    """What all figures of one page share: the regions in order, their colours and their emulated distance."""

    regions: tuple[str, ...]
    distance_ms: dict[str, float] = field(default_factory=dict)

    @property
    def colours(self) -> dict[str, str]:
        """The colour of each region."""
        return region_colours(self.regions)

    def label(self, region: str) -> str:
        """The region's name in a legend, with its emulated distance if it has one."""
        distance = self.distance_ms.get(region, 0.0)
        return f"{region}, {distance:.3g} ms emulated distance" if distance else region

    def marker(self, region: str) -> str:
        """The region's marker: colour is never the only difference."""
        return MARKERS[self.regions.index(region) % len(MARKERS)]


@contextmanager
def _canvas(height_in: float) -> Iterator[Canvas]:
    with mpl.rc_context(STYLE):
        yield Canvas(figsize=(WIDTH_IN, height_in), layout="constrained")


def _legend(figure: Canvas, axes: Axes, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=2.6)


def _time_scale(axes: Axes, drawn: Sequence[object], which: Literal["x", "y"], roomy_decades: float) -> None:
    """A log scale where the values need one, otherwise from zero, so that lengths compare; ticks that do not crowd."""
    values = np.concatenate([np.asarray(part, dtype=float) for part in drawn]) if drawn else np.empty(0)
    values = values[np.isfinite(values) & (values > 0)]
    span = float(values.max() / values.min()) if values.size else 1.0
    axis = axes.xaxis if which == "x" else axes.yaxis
    if span > 20:
        (axes.set_xscale if which == "x" else axes.set_yscale)("log")
        steps = (1.0, 2.0, 5.0) if np.log10(span) <= roomy_decades else (1.0,)
        axis.set_major_locator(LogLocator(base=10, subs=steps, numticks=20))
        axis.set_minor_locator(NullLocator())
    elif which == "x":
        axes.set_xlim(left=0)
    else:
        axes.set_ylim(bottom=0)
    axis.set_major_formatter(FuncFormatter(lambda value, _: _tick(value)))


def _tick(milliseconds: float) -> str:
    return f"{milliseconds / 1000:g} s" if milliseconds >= 1000 else f"{milliseconds:g} ms"


def timeline(
    data: Timeline, look: Look, phases: Sequence[Phase], t0_s: float | None, events: Sequence[Event], alt: str
) -> str:
    """Draw rates, response p50 and p99 and retries over one shared time axis."""
    with _canvas(9.2) as figure:
        panels: Sequence[Axes] = figure.subplots(4, 1, sharex=True, height_ratios=(1.25, 1, 1, 0.8))
        _rates(panels[0], data)
        _by_region(panels[1], data, look, lambda region: data.series[region].p50_ms)
        panels[1].set_title("How long did the median response take? (p50)")
        _by_region(panels[2], data, look, lambda region: data.series[region].p99_ms)
        panels[2].set_title("How long did the slowest hundredth take? (p99)")
        for panel in panels[1:3]:
            _response_scale(panel, roomy_decades=1.7)
        _by_region(panels[3], data, look, lambda region: data.series[region].retries)
        panels[3].set_title("When were attempts aborted? (per second)")
        panels[3].set_ylim(bottom=0)
        panels[3].yaxis.set_major_locator(MaxNLocator(5, integer=True))
        end = float(data.ends_s[-1]) if data.ends_s.size else 1.0
        shown = _with_drain(phases, end)
        for panel in panels:
            panel.set_xlim(0, end)
            _phases(panel, shown, end)
            _marks(panel, t0_s, events, named=panel is panels[0])
        _phase_names(panels[0], shown, end)
        panels[3].set_xlabel("seconds since the start of the run")
        panels[3].xaxis.set_major_locator(MaxNLocator(12, integer=True))
        _legend(figure, panels[1], 2)
        return to_svg(figure, "timeline", alt)


def _rates(axes: Axes, data: Timeline) -> None:
    everywhere = data.series[None]
    middle = data.ends_s - data.bin_s / 2
    if data.has_arrivals:
        axes.step(middle, everywhere.offered, where="mid", color=MUTED, linestyle=(0, (4, 2)), label="sessions offered")
    if data.has_sessions:
        axes.plot(middle, everywhere.ended, color=INK, linewidth=1.8, label="sessions answered")
    axes.plot(middle, everywhere.committed, color=INK, linewidth=1, linestyle=":", label="transactions committed")
    for what, values in (("sessions dropped", everywhere.dropped), ("transactions failed", everywhere.failed)):
        if values.size and np.nansum(values) > 0:
            axes.plot(middle, values, color=ALARM, linestyle="-" if "dropped" in what else "-.", label=what)
    axes.set_ylim(0, axes.get_ylim()[1] * 1.25)  # room for the names of phases and marks
    axes.set_title("Did the target keep up? (all regions, per second)", pad=20)
    axes.legend(loc="upper left", ncols=5, fontsize=8, bbox_to_anchor=(0, 1.13), borderaxespad=0, handlelength=2.2)


def _by_region(axes: Axes, data: Timeline, look: Look, values: Callable[[str], np.ndarray]) -> None:
    middle = data.ends_s - data.bin_s / 2
    few = middle.size <= 60
    for region in look.regions:
        marker = look.marker(region) if few else None
        axes.plot(
            middle, values(region), color=look.colours[region], label=look.label(region), marker=marker, markersize=3
        )


def _response_scale(axes: Axes, roomy_decades: float) -> None:
    _time_scale(axes, [line.get_ydata() for line in axes.lines], "y", roomy_decades)


def _phases(axes: Axes, phases: Sequence[Phase], end_s: float) -> None:
    for number, phase in enumerate(phases):
        if phase.start_s < end_s:
            shade = SHADE_STRONG if not phase.measured else SHADE if number % 2 else "none"
            axes.axvspan(phase.start_s, min(phase.end_s, end_s), facecolor=shade, edgecolor="none", zorder=0)


def _with_drain(phases: Sequence[Phase], end_s: float) -> list[Phase]:
    """The phases and, where the run outlasted them, the time in which sessions in flight ended."""
    last = max((phase.end_s for phase in phases), default=end_s)
    drain = [Phase("drain", last, end_s - last, measured=False)] if end_s - last >= 1 else []
    return [*phases, *drain]


def _phase_names(axes: Axes, phases: Sequence[Phase], end_s: float) -> None:
    for phase in phases:
        width = (min(phase.end_s, end_s) - phase.start_s) / end_s
        name = phase.name if phase.measured else f"{phase.name} (not measured)"
        if width < 0.0105 * len(name):
            name = phase.name
        if width >= 0.0105 * len(name):
            middle = phase.start_s + width * end_s / 2
            axes.annotate(
                name, (middle, 1.0), xycoords=("data", "axes fraction"), xytext=(0, -4), textcoords="offset points",
                ha="center", va="top", fontsize=8, color=MUTED,
            )  # fmt: skip


def _marks(axes: Axes, t0_s: float | None, events: Sequence[Event], *, named: bool) -> None:
    marks = [(t0_s, "sale opens", INK)] if t0_s is not None else []
    marks += [(e.elapsed_s, e.kind.replace("_", " "), ALARM) for e in events if e.kind in ENDINGS]
    for at_s, name, colour in (mark for mark in marks if mark[0] <= axes.get_xlim()[1]):
        axes.axvline(at_s, color=colour, linewidth=1, linestyle=(0, (1, 1.5)))
        if named:
            axes.annotate(
                name, (at_s, 1.0), xycoords=("data", "axes fraction"), xytext=(3, -16), textcoords="offset points",
                fontsize=8, color=colour, va="top",
            )  # fmt: skip


def tail(tails: dict[str, tuple[Times, Times]], look: Look, alt: str) -> str:
    """Draw response (solid) and service time (dashed) of each region against 1/(1-p)."""
    with _canvas(4.6) as figure:
        axes = figure.subplots()
        longest = 10.0
        for region in look.regions:
            response, service = tails.get(region, (Times(), Times()))
            for times, dashes, name in ((response, "-", look.label(region)), (service, (0, (3, 2)), None)):
                x, y = _spectrum(times)
                if x.size:
                    axes.plot(x, y, color=look.colours[region], linestyle=dashes, label=name, linewidth=1.5)
                    axes.plot(x[-1:], y[-1:], marker=look.marker(region), color=look.colours[region], markersize=5)
                    longest = max(longest, float(x[-1]))
        axes.set_xscale("log")
        axes.set_xlim(1, longest * 1.3)
        ticks = [(1, "0"), (2, "50"), (10, "90"), (100, "99"), (1e3, "99.9"), (1e4, "99.99"), (1e5, "99.999")]
        ticks = [tick for tick in ticks if tick[0] <= longest * 1.3]
        axes.set_xticks([at for at, _ in ticks], [name for _, name in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("percentile, on an axis of 1/(1 − p)")
        _response_scale(axes, roomy_decades=5)
        _legend(figure, axes, 2)
        return to_svg(figure, "tail", alt)


def _spectrum(times: Times) -> tuple[np.ndarray, np.ndarray]:
    """(1/(1-p), ms) of a distribution, thinned to the steps that a line of a page's width can show.

    The maximum stands at 1/(1-p) = n, so the line ends where the samples do and claims no rarer event; with samples that had
    no answer it ends at the last answer, before what is not known.
    """
    values, waiting = times.waiting()
    if not values.size:
        return values, waiting
    above = np.concatenate([[1.0], waiting[:-1]])  # a value holds from the share that still waits before it on
    x = 1 / np.maximum(above, 1 / (times.answered.count + times.censored.count))
    keep = np.unique(np.searchsorted(x, np.geomspace(1, x[-1], 240)).clip(0, x.size - 1))
    y = values[keep]
    y[-1] = times.answered.max_ms
    return x[keep], y


def region_grid(groups: Sequence[Group], look: Look, alt: str) -> str:
    """Draw, for each transaction and region, the response p50 (dot), p95 (tick) and p99 (end) on one scale."""
    names = sorted({group.transaction or "" for group in groups})
    cells = {(group.region, group.transaction): group for group in groups if group.response.count}
    height = 0.9 + len(names) * (0.22 * len(look.regions) + 0.28)
    with _canvas(height) as figure:
        panels = list(figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0])
        for axes, name in zip(panels, names, strict=True):
            shown = [region for region in reversed(look.regions) if (region, name) in cells]
            for row, region in enumerate(shown):
                latency = cells[region, name].response
                low, middle, high = latency.p50_ms or 0.0, latency.p95_ms or 0.0, latency.p99_ms or 0.0
                colour = look.colours[region]
                axes.plot([low, high], [row, row], color=colour, linewidth=4, alpha=0.45, solid_capstyle="butt")
                axes.plot([low], [row], marker=look.marker(region), color=colour, markersize=6)
                axes.plot([middle, high], [row, row], marker="|", linestyle="none", color=colour, markersize=9)
            axes.set_yticks(range(len(shown)), [f"{look.label(r)}, n={cells[r, name].response.count:,}" for r in shown])
            axes.set_ylim(-0.6, max(len(shown), 1) - 0.4)
            axes.set_title(name)
            axes.grid(visible=False, axis="y")
        _response_scale_x(panels)
        return to_svg(figure, "grid", alt)


def _response_scale_x(panels: Sequence[Axes]) -> None:
    drawn = [line.get_xdata() for axes in panels for line in axes.lines]
    for axes in panels:
        _time_scale(axes, drawn, "x", roomy_decades=2.2)
    panels[-1].set_xlabel("response time: marker p50, ticks p95 and p99")


def retries(details: Sequence[AbortDetail], look: Look, alt: str) -> str:
    """Draw aborted attempts by reason and region: how many, and the time that they cost."""
    totals: dict[str, float] = {}
    for detail in details:
        totals[detail.reason] = totals.get(detail.reason, 0.0) + detail.wasted_ms
    reasons = sorted(totals, key=lambda reason: totals[reason])[-12:]
    with _canvas(1.5 + 0.36 * len(reasons)) as figure:
        left, right = figure.subplots(1, 2, sharey=True)
        for axes, title, value in (
            (left, "How often? (aborted attempts)", lambda d: float(d.count)),
            (right, "At what cost? (seconds of work and back-off)", lambda d: d.wasted_ms / 1000),
        ):
            _stacked(axes, reasons, details, look, value)
            axes.set_title(title)
            axes.grid(visible=False, axis="y")
        left.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        left.set_yticks(range(len(reasons)), reasons)
        _legend(figure, left, 2)
        return to_svg(figure, "retries", alt)


def _stacked(
    axes: Axes,
    reasons: Sequence[str],
    details: Sequence[AbortDetail],
    look: Look,
    value: Callable[[AbortDetail], float],
) -> None:
    start = np.zeros(len(reasons))
    for region in look.regions:
        widths = np.array([sum(value(d) for d in details if d.reason == r and d.region == region) for r in reasons])
        if widths.sum() > 0:
            axes.barh(
                range(len(reasons)), widths, left=start, height=0.62, color=look.colours[region], edgecolor=BACK,
                linewidth=0.8, label=look.label(region),
            )  # fmt: skip
        start += widths
    axes.set_xlim(left=0)


def stock(rows: Sequence[StockRow], look: Look, alt: str) -> str:
    """Draw, for each item and warehouse region, the units sold (filled), left (outline) and oversold (hatched)."""
    shown = list(reversed(rows[:24]))
    with _canvas(1.2 + 0.32 * len(shown)) as figure:
        axes = figure.subplots()
        for at, row in enumerate(shown):
            colour = look.colours.get(row.region, MUTED)
            within = row.sold - row.oversold
            axes.barh(at, within, height=0.6, color=colour)
            axes.barh(at, row.left, left=row.sold, height=0.6, facecolor="none", edgecolor=colour, linewidth=1)
            if row.oversold:
                axes.barh(at, row.oversold, left=within, height=0.6, facecolor="none", edgecolor=ALARM, hatch="////")
            axes.annotate(
                _stock_label(row), (row.sold + row.left, at), xytext=(4, 0), textcoords="offset points", va="center",
                fontsize=8, color=ALARM if row.oversold else INK,
            )  # fmt: skip
        axes.set_yticks(range(len(shown)), [f"{_short(row.item)}, {row.region}" for row in shown])
        axes.set_xlabel("units: filled sold, outlined left, hatched beyond the stock")
        axes.margins(x=0.14)
        axes.set_xlim(left=0)
        axes.grid(visible=False, axis="y")
        return to_svg(figure, "stock", alt)


def _stock_label(row: StockRow) -> str:
    parts = [f"{row.oversold:,} oversold"] if row.oversold else []
    parts += [f"{row.left:,} left"] if row.left else []
    return ", ".join(parts) or "sold out"


def _short(text: str) -> str:
    # "$" would start a formula
    return (text if len(text) <= 32 else f"{text[:31]}…").replace("$", r"\$")
