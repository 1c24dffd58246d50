"""Reading a page as a browser would: its tables, ids and references.  What is small beside a figure is kept apart."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input", "path", "use", "rect", "circle"}


@dataclass
class TableOf:
    caption: str = ""
    head: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    scopes: list[str | None] = field(default_factory=list)


class Page(HTMLParser):
    """Collects what the tests look at; ``unclosed`` must be empty at the end."""

    def __init__(self, html: str):
        super().__init__(convert_charrefs=True)
        self.tables: list[TableOf] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.tags: list[str] = []
        self.unclosed: list[str] = []
        self.headings: list[tuple[str, str]] = []
        self.figures: list[str] = []
        self.text = ""
        self.beside: list[str] = []
        self._buffer: str | None = None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        if tag not in VOID:
            self.unclosed.append(tag)
        if "id" in values:
            self.ids.append(values["id"])
        self.references += [values[name] for name in ("href", "src", "xlink:href") if values.get(name)]
        if tag == "table":
            self.tables.append(TableOf())
        if tag == "tr" and "tbody" in self.unclosed:
            self.tables[-1].rows.append([])
        if tag in ("th", "td"):
            self.tables[-1].scopes.append(values.get("scope") if tag == "th" else "td")
        if tag == "small":
            self.beside.append("")
        if tag == "figure":
            self.figures.append("")
        if tag in ("th", "td", "caption", "h1", "h2"):
            self._buffer = ""

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.unclosed.pop()

    def handle_endtag(self, tag):
        assert self.unclosed, f"</{tag}> closes nothing"
        assert self.unclosed[-1] == tag, f"</{tag}> closes <{self.unclosed[-1]}>"
        text = " ".join((self._buffer or "").split())
        if tag == "caption":
            self.tables[-1].caption = text
        elif tag in ("th", "td"):
            (self.tables[-1].rows[-1] if "tbody" in self.unclosed else self.tables[-1].head).append(text)
        elif tag in ("h1", "h2"):
            self.headings.append((tag, text))
        self.unclosed.pop()
        if tag in ("th", "td", "caption", "h1", "h2"):
            self._buffer = None

    def handle_data(self, data):
        if self.unclosed and self.unclosed[-1] == "small":
            self.beside[-1] += data
        elif self._buffer is not None:
            self._buffer += data
        if not {"style", "script"} & set(self.unclosed):
            self.text += data + " "
        if "figure" in self.unclosed:
            self.figures[-1] += data

    def table(self, caption: str) -> list[dict[str, str]]:
        """The rows of the table whose caption begins so, by heading."""
        found = next(table for table in self.tables if table.caption.startswith(caption))
        return [dict(zip(found.head, row, strict=True)) for row in found.rows]
