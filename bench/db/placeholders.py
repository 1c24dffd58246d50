"""What a statement's text leaves open: ``%(value)s`` for values, which travel apart from it, and ``{name}`` for identifiers.

Pure; knows no driver and no file.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

# psycopg substitutes % everywhere, in literals and comments too, so each must be known for what it is.
TOKEN = re.compile(
    r"""(?P<literal> [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$ )
      | (?P<comment> --[^\n]* | /\*.*?\*/ )
      | %\((?P<name>\w+)\)s
      | (?P<percent> %% )
      | \{(?P<identifier>\w+)\}
      | (?P<stray> %(?:\(\w*\)?)?\w? )
      | (?P<end> ; )""",
    re.VERBOSE | re.DOTALL,
)


def placeholders_as_numbers(sql: str, names: Sequence[str] = ()) -> str:
    """Return ``sql`` with ``$1``, ``$2``… for its placeholders, in the order of ``names``, else of first appearance.

    >>> placeholders_as_numbers("SELECT %(b)s, %(a)s, '10%%', ':%(a)s' WHERE %(b)s > 5 %% 2")
    "SELECT $1, $2, '10%', ':%(a)s' WHERE $1 > 5 % 2"
    """
    numbers = {name: position for position, name in enumerate(names, 1)}

    def replace(token: re.Match[str]) -> str:
        if token["name"]:
            return f"${numbers.setdefault(token['name'], len(numbers) + 1)}"
        return token[0].replace("%%", "%")

    return TOKEN.sub(replace, sql)


def with_names(sql: str, names: Mapping[str, str | Sequence[str]]) -> str:
    """Return ``sql`` with quoted identifiers for its ``{name}``, several with commas between; KeyError when one is missing.

    >>> with_names("COPY {table} ({columns}) FROM STDIN", {"table": "t", "columns": ["a", 'b"c'], "unused": "x"})
    'COPY "t" ("a", "b""c") FROM STDIN'
    """

    def replace(token: re.Match[str]) -> str:
        if not token["identifier"]:
            return token[0]
        given = names[token["identifier"]]
        return ", ".join(_identifier(name) for name in ([given] if isinstance(given, str) else given))

    return TOKEN.sub(replace, sql)


def _identifier(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'


def with_literals(sql: str, values: Mapping[str, object]) -> str:
    """Return ``sql`` with quoted literals for its placeholders, for a human to run; KeyError when a value is missing.

    >>> with_literals("SELECT 5 %% %(n)s, %(name)s::TEXT, %(none)s", {"n": 2, "name": "O'Neil", "none": None})
    "SELECT 5 % 2, 'O''Neil'::TEXT, NULL"
    """

    def replace(token: re.Match[str]) -> str:
        return _literal(values[token["name"]]) if token["name"] else token[0].replace("%%", "%")

    return TOKEN.sub(replace, sql)


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return str(value)
    quoted = str(value).replace("'", "''")
    return f"'{quoted}'"
