"""The page as one HTML file: no script, no network, readable on a phone, on paper, by day and by night."""

from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from .model import Code, Figure, Folded, Page, Table, Text
from .svg import DARK, LIGHT, region_variables


def render_page(page: Page) -> str:
    """Return a page; whatever texts it shows are escaped."""
    folder = files("bench.reports") / "templates"
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.tests |= {
        kind.__name__.lower(): lambda block, kind=kind: isinstance(block, kind)
        for kind in (Table, Figure, Text, Code, Folded)
    }
    environment.filters["svg"] = _svg
    template = environment.from_string((folder / "report.html.j2").read_text(encoding="utf-8"))
    return template.render(
        page=page,
        regions={region: number % len(LIGHT) for number, region in enumerate(page.regions)},
        style=Markup((folder / "report.css").read_text(encoding="utf-8")),
        light=Markup(region_variables(LIGHT)),
        dark=Markup(region_variables(DARK)),
    )


def _svg(figure: Figure) -> Markup:
    # matplotlib escapes the texts of a drawing itself
    return Markup(figure.svg)
