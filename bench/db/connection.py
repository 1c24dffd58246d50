"""Opening connections, and turning a refusal to connect into an error that a user can act on.

Plain ``psycopg.connect`` serves both databases ([PSY:docs/api/crdb.rst]): string parameters go without a type, so enum, UUID
and date contexts take them.
"""

import re
from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bench.errors import BenchError, TargetError, UsageError

Connection = psycopg.Connection[tuple[Any, ...]]
DriverError = psycopg.Error
"""What the driver raises, by a name for those who may not import it."""

APPLICATION = "shopbench"
CONNECT_TIMEOUT_S = 10
# A connection that waits for others' work for an hour must outlive the idle limit of what lies between (often 350 s).
_KEEPALIVE: dict[str, Any] = {"keepalives_idle": 60, "keepalives_interval": 20, "keepalives_count": 6}


def connect(url: str, *, application: str = APPLICATION, options: Sequence[str] = ()) -> Connection:
    """Return an autocommit connection in UTC that looks in ``public`` alone; raises psycopg.Error as the driver does.

    ``options`` are session settings as ``name=value``.
    """
    settings = " ".join(f"-c {_escaped(option)}" for option in ("timezone=UTC", "search_path=public", *options))
    given = conninfo_to_dict(url)
    merged = f"{given.pop('options', '') or ''} {settings}".strip()
    timeout = given.pop("connect_timeout", None) or CONNECT_TIMEOUT_S
    conninfo = make_conninfo("", **{**_KEEPALIVE, **given, "options": merged, "connect_timeout": timeout})
    return psycopg.connect(conninfo, autocommit=True, application_name=application)


def _escaped(option: str) -> str:
    # The options string splits at spaces that no backslash precedes.
    return option.replace("\\", "\\\\").replace(" ", "\\ ")


def open_or_explain(url: str, *, application: str = APPLICATION) -> Connection:
    """Return a connection as ``connect`` does; TargetError (without the password) when the server refuses."""
    try:
        return connect(url, application=application)
    except psycopg.ProgrammingError as error:
        raise _unreadable(url, error) from None
    except psycopg.Error as error:
        raise _refusal(url, error) from None


def _unreadable(url: str, error: psycopg.Error) -> UsageError:
    if "@" not in url and "password" not in url.lower():
        hint = "pass e.g. postgresql://shop@localhost:5432/shop"
        return UsageError(f"'{url}' is not a connection URL", cause=_first_line(error), hint=hint)
    # What the driver says of it may quote the password.
    return UsageError(
        "the connection URL cannot be read",
        hint="percent-encode special characters: %40 for @ and %25 for % in user and password, %3D for = in options",
    )


def _refusal(url: str, error: psycopg.Error) -> BenchError:
    place = place_of(url)
    text = str(error)
    if "password authentication failed" in text or "no password supplied" in text:
        return TargetError(
            f"{place} refused the user or the password",
            hint="check the user and password in the URL, or set PGPASSWORD",
        )
    if "does not exist" in text and "database" in text:
        return TargetError(f"{place} has no such database", hint="create it, or name another in the URL")
    for words, hint in _TLS_HINTS:
        if words in text:
            return TargetError(f"no TLS connection to {place}", cause=_first_line(error), hint=hint)
    return TargetError(f"cannot reach {place}", cause=_first_line(error), hint="check the address, and that it is up")


_TLS_HINTS = (
    ("does not match host name", "name the host in the URL as its certificate does"),
    ("does not support SSL", "check the port; a server without TLS takes sslmode=disable"),
    ("SSL connection required", "add sslmode=verify-full and sslrootcert=PATH of the cluster's CA to the URL"),
    ("client certificate", "check sslcert and sslkey in the URL"),
    # The driver's wheel has an OpenSSL of its own, which looks where no system keeps its roots.
    (
        "certificate",
        "pass sslrootcert=PATH of the cluster's CA; for sslrootcert=system set SSL_CERT_FILE=$(python -m certifi)",
    ),
)
"""What libpq and servers say where TLS is at fault, and what to do about it; the first that fits."""


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return redact(lines[0] if lines else type(error).__name__)


# Greedy up to the last @ of the authority, because a password may hold one.
_USERINFO = re.compile(r"(://[^\s/?#:@]*):[^\s/?#]*@")
_KEYWORD = re.compile(r"(password\s*=\s*)('(?:[^'\\]|\\.)*'|[^\s&]+)", re.IGNORECASE)


def redact(url: str) -> str:
    """Return a connection URL or string without its password.

    >>> redact("postgresql://shop:secret@db:26257/shop?sslmode=verify-full")
    'postgresql://shop:***@db:26257/shop?sslmode=verify-full'
    """
    return _KEYWORD.sub(r"\1***", _USERINFO.sub(r"\1:***@", url))


_SECRETS = ("password", "sslpassword")


def without_password(url: str) -> str:
    """Return a connection string that holds no password, to be sent to where it comes from elsewhere."""
    return make_conninfo("", **{key: value for key, value in conninfo_to_dict(url).items() if key not in _SECRETS})


def place_of(url: str) -> str:
    """Return ``database 'shop' on host:port`` for messages; never the user or the password."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return "the database"
    if "@" in f"{parts.get('dbname')}{parts.get('host')}":
        # A password with a slash that is not percent-encoded has ended up here.
        return "the database"
    host, port = parts.get("host") or "localhost", parts.get("port") or "5432"
    return f"database '{parts.get('dbname') or 'postgres'}' on {host}:{port}"


def database_of(url: str) -> str:
    """Return the name of the database in a URL; ``shop`` where it names none."""
    return str(conninfo_to_dict(url).get("dbname") or "shop")


def with_database(url: str, name: str) -> str:
    """Return the URL with another database."""
    return make_conninfo(url, dbname=name)


def any_of(urls: Sequence[str]) -> str:
    """Return one address of several servers, which the driver tries in their order; those unlike the first are left out.

    Unlike are those of which more than host and port differs: a connection string holds one user and one database.
    """
    first, *others = dict.fromkeys(urls)
    parts = conninfo_to_dict(first)
    places = [(parts.pop("host", "") or "", parts.pop("port", "") or "")]
    for url in others:
        more = conninfo_to_dict(url)
        place = (more.pop("host", "") or "", more.pop("port", "") or "")
        if more == parts:
            places.append(place)
    if len(places) == 1 or any("," in str(host) for host, _ in places):
        return first
    hosts, ports = (",".join(str(place[n]) for place in places) for n in (0, 1))
    return make_conninfo("", **{**parts, "host": hosts, "port": ports})


def rows(connection: Connection, sql: str, params: Any = None) -> list[tuple[Any, ...]]:
    """Return the rows of one statement of the catalogue or the schema (never of text a user typed)."""
    cursor = connection.execute(sql, params)
    return cursor.fetchall() if cursor.description else []


def value(connection: Connection, sql: str, params: Any = None) -> Any:
    """Return the first column of the first row, or None."""
    found = rows(connection, sql, params)
    return found[0][0] if found else None
