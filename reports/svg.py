"""From a matplotlib figure to an SVG that lives inside a page: its colours are the page's, its ids are its own.

Figures are drawn with stand-in colours, which become CSS variables, so one drawing serves light, dark and print.
"""

import io
import re
from collections.abc import Sequence
from html import escape
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

INK, MUTED, GRID, SHADE, SHADE_STRONG, BACK, ALARM = (
    "#010101",
    "#010102",
    "#010103",
    "#010104",
    "#010105",
    "#010106",
    "#010107",
)
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    SHADE: "var(--shade)",
    SHADE_STRONG: "var(--shade-strong)",
    BACK: "var(--paper)",
    ALARM: "var(--bad)",
}

# Both sets keep 4.5:1 against the page and stay apart for the common kinds of colour blindness (after Okabe and Ito).
LIGHT = ("#0067a3", "#b34d00", "#00765a", "#a03070", "#6b5900", "#5151c4", "#5f5f5f", "#007480")
DARK = ("#5cb8ec", "#ff9e57", "#3ecb9c", "#ec93c9", "#e3c64c", "#adadff", "#bdbdbd", "#52d3df")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

STYLE: Any = {  # matplotlib types each key of this dictionary by its own literal
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "figure.facecolor": "none",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.5,
    "path.simplify": True,
}


def stand_in(number: int) -> str:
    """Return the stand-in for the colour of the region with this number in the scenario's order."""
    return f"#0102{number % len(LIGHT):02x}"


def region_colours(regions: Sequence[str]) -> dict[str, str]:
    """Return the colour of each region: the same in every figure of a page."""
    return {region: stand_in(number) for number, region in enumerate(regions)}


def region_variables(colours: Sequence[str]) -> str:
    """Return the CSS that gives the regions' variables their values.

    >>> region_variables(LIGHT[:2])
    '--region-0:#0067a3;--region-1:#b34d00'
    """
    return ";".join(f"--region-{number}:{colour}" for number, colour in enumerate(colours))


def to_svg(figure: Figure, name: str, alt: str) -> str:
    """Return a figure as an SVG element whose ids all begin with ``name``; the figure is used up."""
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    for number in range(len(LIGHT)):
        text = text.replace(stand_in(number), f"var(--region-{number})")
    for colour, variable in _VARIABLES.items():
        text = text.replace(colour, variable)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1)
