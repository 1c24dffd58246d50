"""The figures of a run that are not over time, each the answer to one question."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, NullLocator

from bench.metrics.outcome import StockRow
from bench.stats.censoring import Times
from bench.stats.distance import DistanceRow
from bench.stats.records import AbortDetail, Group

from .drawing import Look, canvas, legend, time_scale
from .svg import ALARM, BACK, GRID, INK, MUTED, to_svg

__all__ = ["Look"]


def tail(tails: dict[str, tuple[Times, Times]], look: Look, alt: str) -> str:
    """Draw response (solid) and service time (dashed) of each region against 1/(1-p)."""
    with canvas(4.6) as figure:
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
        axes.set_ylabel("time from the start to the answer")
        time_scale(axes, [line.get_ydata() for line in axes.lines], "y", roomy_decades=5)
        legend(figure, axes, 2)
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
    rows: list[tuple[float, str]] = []
    at = 0.0
    # One pair of axes for all: a layout of a dozen takes seconds.
    with canvas(1.1 + len(names) * (0.22 * len(look.regions) + 0.28)) as figure:
        axes = figure.subplots()
        for name in names:
            axes.annotate(
                name, (0, at), xycoords=("axes fraction", "data"), xytext=(2, 0), textcoords="offset points", va="center",
                fontsize=9.5, fontweight="bold",
            )  # fmt: skip
            axes.axhline(at - 0.7, color=GRID, linewidth=0.8)
            for region in (region for region in look.regions if (region, name) in cells):
                at += 1
                group = cells[region, name]
                _span(axes, at, group, look)
                rows.append((at, f"{look.label(region)}, n={group.response.count:,}"))
            at += 1.3
        axes.set_yticks([place for place, _ in rows], [label for _, label in rows])
        axes.set_ylim(at - 0.6, -0.7)
        axes.grid(visible=False, axis="y")
        time_scale(axes, [line.get_xdata() for line in axes.lines if line.get_transform() == axes.transData], "x", 2.2)
        axes.set_xlabel("response time: marker p50, ticks p95 and p99")
        return to_svg(figure, "grid", alt)


def _span(axes: Axes, at: float, group: Group, look: Look) -> None:
    region, latency = group.region or "", group.response
    low, middle, high = latency.p50_ms or 0.0, latency.p95_ms or 0.0, latency.p99_ms or 0.0
    colour = look.colours[region]
    axes.plot([low, high], [at, at], color=colour, linewidth=4, alpha=0.45, solid_capstyle="butt")
    axes.plot([low], [at], marker=look.marker(region), color=colour, markersize=6)
    axes.plot([middle, high], [at, at], marker="|", linestyle="none", color=colour, markersize=9)


def retries(details: Sequence[AbortDetail], look: Look, alt: str) -> str:
    """Draw aborted attempts by reason and region: how many, and the time that they cost."""
    totals: dict[str, float] = {}
    for detail in details:
        totals[detail.reason] = totals.get(detail.reason, 0.0) + detail.wasted_ms
    reasons = sorted(totals, key=lambda reason: totals[reason])[-12:]
    with canvas(1.5 + 0.36 * len(reasons)) as figure:
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
        legend(figure, left, 2)
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


def distance(rows: Sequence[DistanceRow], look: Look, alt: str) -> str:
    """Draw, for each region, the service time of its average transaction: round trips (filled) and all else (outline)."""
    shown = [row for row in reversed(rows) if row.transaction is None]
    with canvas(1.2 + 0.36 * len(shown)) as figure:
        axes = figure.subplots()
        for at, row in enumerate(shown):
            colour = look.colours[row.region]
            axes.barh(at, row.share, height=0.6, color=colour)
            axes.barh(at, 1 - row.share, left=row.share, height=0.6, facecolor="none", edgecolor=colour, linewidth=1)
            axes.annotate(
                f"{100 * row.share:.3g} %", (1, at), xytext=(6, 0), textcoords="offset points", va="center",
                fontsize=8.5,
            )  # fmt: skip
        axes.set_yticks(range(len(shown)), [look.label(row.region) for row in shown])
        axes.set_xlim(0, 1.12)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])
        axes.set_xlabel("share of all service time: filled round trips, outlined all else")
        axes.grid(visible=False, axis="y")
        return to_svg(figure, "distance", alt)


def stock(rows: Sequence[StockRow], look: Look, alt: str) -> str:
    """Draw, for each item and warehouse region, the units sold (filled), left (outline) and oversold (hatched)."""
    shown = list(reversed(rows[:24]))
    with canvas(1.2 + 0.32 * len(shown)) as figure:
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
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
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
