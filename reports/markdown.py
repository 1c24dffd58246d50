"""The page as Markdown, for pull requests and terminals: the same sections, their figures left to the HTML page."""

import re
from collections.abc import Iterable, Iterator

from .model import Block, Cell, Code, Figure, Folded, Page, Table, Text


def render_markdown(page: Page) -> str:
    """Return a page as Markdown."""
    lines = [f"# {_text(page.heading)}: {_text(page.name)}", "", f"{_text(page.kicker)}.", ""]
    if page.reasons:
        lines += [*(f"- {_text(reason)}" for reason in page.reasons), ""]
    lines += [_text(page.result), ""]
    if page.small:
        lines += [_text(page.small), ""]
    lines += _blocks(page.top)
    for section in page.sections:
        lines += [f"## {_text(section.title)}", "", *_blocks(section.blocks)]
    lines += [_text(page.source)]
    return "\n".join(lines).rstrip() + "\n"


def _blocks(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        match block:
            case Text():
                yield from (f"**{_text(block.text)}**" if block.level != "plain" else _text(block.text), "")
            case Code():
                fence = "`" * max(3, 1 + _longest_run(block.text))
                yield from (f"{fence}{block.language}", block.text, fence, "")
            case Table():
                yield from _table(block)
            case Figure():
                yield from (f"(Figure in report.html: {_text(block.title)})", "")
            case Folded():
                yield from _blocks(block.blocks)


def _table(block: Table) -> Iterator[str]:
    yield from (f"**{_text(block.caption)}**", "")
    yield f"| {' | '.join(_text(name) for name, _ in block.columns)} |"
    yield f"|{'|'.join('---:' if is_number else '---' for _, is_number in block.columns)}|"
    for row in block.rows:
        yield f"| {' | '.join(map(_cell, row))} |"
    yield ""
    if block.note:
        yield from (_text(block.note), "")


def _cell(cell: Cell) -> str:
    shown = f"[{_shown(cell)}]({cell.link})" if cell.link else _shown(cell)
    return f"{shown} ({_text(cell.beside)})" if cell.beside else shown


def _shown(cell: Cell) -> str:
    text = " ".join(cell.text.split())
    if cell.kind == "code" and text:
        escaped = text.replace("|", "\\|")
        return f"`{escaped}`" if "`" not in text else _text(text)
    escaped = _text(text)
    return f"**{escaped}**" if cell.kind in ("bad", "caution") and text else escaped


def _text(text: str) -> str:
    """Escape what Markdown or HTML would take for its own."""
    escaped = re.sub(r"([\\`*<>|\[\]])", r"\\\1", text.replace("&", "&amp;"))
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", escaped)


def _longest_run(text: str) -> int:
    longest = current = 0
    for letter in text:
        current = current + 1 if letter == "`" else 0
        longest = max(longest, current)
    return longest
