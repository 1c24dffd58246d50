"""The name in the catalogue of a statement that a server reports by its text.  Pure.

PostgreSQL's pg_stat_statements keeps the text as it was sent, with constants replaced by further ``$n``, and since version
18 with lists of constants cut short.  Both texts are brought to one form, in which every constant and parameter is ``?``.
"""

import re
from collections.abc import Iterable

from bench.db.catalogue import Statement

SHOWN = 60
"""Characters kept of a statement that is not in the catalogue."""

_CONSTANT = re.compile(
    r"""(?P<quoted> "(?:[^"]|"")*" )
      | [eE]?'(?:[^'\\]|\\.|'')*' | \$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$
      | \$\d+ | (?<![\w.])(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?!\w)
      | \b(?:null|true|false)\b""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_CONTROL = re.compile(r"(?:begin|start transaction|commit|end|rollback|abort)\b", re.IGNORECASE)
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_SIGN = re.compile(r"(?<=[=<>(,])(\s*)-\s*(?=\?)")
_LIST = re.compile(r"\?(?:\s*,\s*\?)+|\?\s*,(?=\s*\))")


def canonical(text: str) -> str:
    """Return a statement's text with ``?`` for each constant and parameter, in single blanks; it holds no literal.

    >>> canonical("SELECT a  FROM t WHERE b = $1 AND c IN ('x', 'y') LIMIT 5")
    'SELECT a FROM t WHERE b = ? AND c IN (?) LIMIT ?'
    >>> canonical("SELECT a FROM t WHERE b = $1 AND c IN ($2 /*, ... */) LIMIT $3")
    'SELECT a FROM t WHERE b = ? AND c IN (?) LIMIT ?'
    """
    bare = _CONSTANT.sub(lambda found: found[0] if found["quoted"] else "?", text)
    bare = " ".join(_COMMENT.sub(" ", bare).split()).removesuffix(";").rstrip()
    bare = _LIST.sub("?", _SIGN.sub(r"\1", bare))
    return re.sub(r"\?\s+\)", "?)", bare)


class StatementNames:
    """Looks up names of a catalogue's statements by their text; each text is brought to its form once."""

    def __init__(self, statements: Iterable[Statement]) -> None:
        self._by_text: dict[str, str] = {}
        self._known: dict[str, str | None] = {}
        for statement in statements:
            text = canonical(statement.numbered)
            taken = self._by_text.get(text)
            # Texts that differ in their constants alone cannot be told apart, and must not pass for one of them.
            self._by_text[text] = f"{taken} or {statement.name}" if taken else statement.name

    def name(self, text: str) -> str | None:
        """Return the statement's name, or the first characters of its text without literals where it has none.

        None for BEGIN, COMMIT and ROLLBACK: of those that are prepared pg_stat_statements counts the first execution alone,
        so what it says of them is not what happened.
        """
        if text not in self._known:
            form = canonical(text)
            self._known[text] = None if _CONTROL.match(form) else self._by_text.get(form) or form[:SHOWN]
        return self._known[text]
