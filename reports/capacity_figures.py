"""The figures of an answer on capacity: what the rates did, and the law that concurrency follows."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from bench.stats.capacity import Capacity, Probe, RegionResult
from bench.stats.usl import Usl, throughput

from .drawing import Look, canvas, legend, time_scale
from .svg import ALARM, INK, MUTED, SHADE, to_svg

_MARKS = {"held": ("o", INK), "broke": ("X", ALARM), "unclear": ("d", MUTED), "generator": ("v", MUTED)}


def rates(found: Capacity, look: Look, alt: str) -> str:
    """Draw goodput and p99 against the rate offered, a step for each probe, and the interval of the limit."""
    probes = sorted(found.probes, key=lambda probe: probe.rate)
    with canvas(6.4) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True)
        _goodput(upper, probes)
        _tails(lower, probes, look)
        lower.axhline(found.objective.limit_ms, color=ALARM, linewidth=1, linestyle=(0, (4, 2)), label="objective")
        time_scale(lower, [line.get_ydata() for line in lower.lines], "y", roomy_decades=1.7)
        for axes in (upper, lower):
            _interval(axes, found, probes)
        # Both ends of the doubling are to be seen; a rate is above zero.
        lower.set_xscale("log")
        ticks = _ticks(probes)
        lower.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
        lower.xaxis.set_minor_locator(_no_ticks())
        lower.set_xlabel("sessions offered per second, over all regions; shaded: the 95 % interval of the limit")
        legend(figure, lower, 2)
        return to_svg(figure, "rates", alt)


def _no_ticks() -> object:
    from matplotlib.ticker import NullLocator

    return NullLocator()


def _ticks(probes: Sequence[Probe]) -> list[float]:
    first, last = probes[0].rate, probes[-1].rate
    return [float(tick) for tick in np.geomspace(first, last, 7)] if last > first * 1.01 else [first]


def _goodput(axes: Axes, probes: Sequence[Probe]) -> None:
    offered = [probe.rate for probe in probes]
    good = [probe.whole.goodput_per_s or 0.0 for probe in probes]
    axes.step(offered, good, where="mid", color=INK, linewidth=1)
    for verdict, (marker, colour) in _MARKS.items():
        at = [number for number, probe in enumerate(probes) if probe.verdict == verdict]
        if at:
            x, y = [offered[number] for number in at], [good[number] for number in at]
            axes.plot(x, y, marker=marker, color=colour, linestyle="none", markersize=6, label=verdict)
    axes.set_ylim(bottom=0)
    axes.set_title("How many transactions a second were answered within the limit?")
    axes.legend(loc="upper left", ncols=4)


def _tails(axes: Axes, probes: Sequence[Probe], look: Look) -> None:
    places: list[str | None] = [None, *look.regions] if len(look.regions) > 1 else [None]
    for place in places:
        rows = [(probe.rate, row.p99_ms) for probe in probes if (row := _of(probe, place)) and row.p99_ms is not None]
        if rows:
            x, y = zip(*rows, strict=True)
            colour = INK if place is None else look.colours[place]
            name = "all regions" if place is None else look.label(place)
            marker = "o" if place is None else look.marker(place)
            axes.step(x, y, where="mid", color=colour, label=name, linewidth=1.8 if place is None else 1.2)
            axes.plot(x, y, color=colour, marker=marker, linestyle="none", markersize=3.5)
    axes.set_title("How long did the slowest hundredth take? (p99 of the transactions answered)")


def _of(probe: Probe, region: str | None) -> RegionResult | None:
    return next((row for row in probe.regions if row.region == region), None)


def _interval(axes: Axes, found: Capacity, probes: Sequence[Probe]) -> None:
    knee = found.knee
    if knee.low is not None:
        axes.axvspan(knee.low, knee.high or probes[-1].rate, facecolor=SHADE, edgecolor="none", zorder=0)


def law(usl: Usl, alt: str) -> str:
    """Draw the points and the fitted law up to a little beyond what was measured."""
    n, x = (np.array(column) for column in zip(*usl.points, strict=True))
    with canvas(3.8) as figure:
        axes = figure.subplots()
        axes.plot(n, x, marker="o", linestyle="none", color=INK, label="probes")
        if usl.gamma and usl.alpha and usl.beta:
            at = np.linspace(max(0.2, n.min() / 2), n.max() * 1.15, 200)
            fitted = throughput(at, usl.gamma.value, usl.alpha.value, usl.beta.value)
            axes.plot(at, fitted, color=MUTED, label="Universal Scalability Law")
        if usl.peak_n:
            axes.axvspan(
                usl.peak_n.low, min(usl.peak_n.high, n.max() * 1.15), facecolor=SHADE, edgecolor="none", zorder=0
            )
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("users at work on average")
        axes.set_ylabel("sessions answered per second")
        legend(figure, axes, 2)
        return to_svg(figure, "law", alt)
