"""What all figures share: the look of the regions, the canvas, legend and scales.  A colour is a region everywhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from .svg import MARKERS, STYLE, region_colours

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
def canvas(height_in: float) -> Iterator[Canvas]:
    """Open a canvas of the page's width and a height in inches, in the page's style."""
    with mpl.rc_context(STYLE):
        yield Canvas(figsize=(WIDTH_IN, height_in), layout="constrained")


def legend(figure: Canvas, axes: Axes, columns: int) -> None:
    """Put the names of what the axes show below the figure."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, handlelength=2.6)


def time_scale(axes: Axes, drawn: Sequence[object], which: Literal["x", "y"], roomy_decades: float) -> None:
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
