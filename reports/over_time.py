"""Figures over time, on the shared axis of the run with its phases shaded."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from bench.metrics.frame import Event
from bench.results.timeline import Timeline
from bench.stats.phases import Phase
from bench.stats.validity import ENDINGS

from .drawing import Look, canvas, legend, time_scale
from .svg import ALARM, INK, MUTED, SHADE, SHADE_STRONG, to_svg


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands behind and on every chart over time: the phases, the opening of the sale and the events."""

    phases: Sequence[Phase]
    t0_s: float | None
    events: Sequence[Event]


def timeline(data: Timeline, look: Look, frame: Frame, alt: str) -> str:
    """Draw rates, response p50 and p99 and retries over one shared time axis."""
    with canvas(9.2) as figure:
        panels: Sequence[Axes] = figure.subplots(4, 1, sharex=True, height_ratios=(1.25, 1, 1, 0.8))
        _rates(panels[0], data)
        _by_region(panels[1], data, look, lambda region: data.series[region].p50_ms)
        panels[1].set_title("How long did the median response take? (p50)")
        _by_region(panels[2], data, look, lambda region: data.series[region].p99_ms)
        panels[2].set_title("How long did the slowest hundredth take? (p99)")
        for panel in panels[1:3]:
            time_scale(panel, [line.get_ydata() for line in panel.lines], "y", roomy_decades=1.7)
        _by_region(panels[3], data, look, lambda region: data.series[region].retries)
        aborted = float(np.nansum(data.series[None].retries) if data.ends_s.size else 0.0)
        panels[3].set_title(
            "When were attempts aborted? (per second)" if aborted else "When were attempts aborted? Never"
        )
        panels[3].set_ylim(bottom=0, top=None if aborted else 1.0)
        panels[3].yaxis.set_major_locator(MaxNLocator(5, integer=True))
        _over_time(panels, data, frame)
        legend(figure, panels[1], 2)
        return to_svg(figure, "timeline", alt)


def attempts(data: Timeline, look: Look, frame: Frame, alt: str) -> str:
    """Draw the attempts of each committed transaction by region over time."""
    with canvas(3.4) as figure:
        axes = figure.subplots()
        _by_region(axes, data, look, lambda region: data.series[region].attempts_per_commit)
        top = float(np.nanmax([np.nanmax(line.get_ydata(), initial=1.0) for line in axes.lines] or [1.0]))
        axes.set_ylim(1.0 - 0.04 * (top - 1 or 1), max(1.1, 1 + 1.15 * (top - 1)))
        axes.set_ylabel("attempts per commit")
        _over_time([axes], data, frame)
        legend(figure, axes, 2)
        return to_svg(figure, "attempts", alt)


def _over_time(panels: Sequence[Axes], data: Timeline, frame: Frame) -> None:
    """Shade the phases, mark what happened, and name the time axis."""
    end = float(data.ends_s[-1]) if data.ends_s.size else 1.0
    shown = _with_drain(frame.phases, end)
    for panel in panels:
        panel.set_xlim(0, end)
        _phases(panel, shown, end)
        _marks(panel, frame.t0_s, frame.events, named=panel is panels[0])
    _phase_names(panels[0], shown, end)
    panels[-1].set_xlabel("seconds since the start of the run")
    panels[-1].xaxis.set_major_locator(MaxNLocator(12, integer=True))


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
