"""A server's side of the PostgreSQL protocol that says what a test wants said: a tool of the tests, and no database.

It exists for messages that a real server would have to be provoked into, replayed to the real driver through our own code.
It knows no SQL.  Statements are recognised by how they begin; each is answered with rows, refused, or met with a closed
connection.  Everything that it is sent is kept, so a test can see what was repeated and what was not.  The protocol is that
of PostgreSQL's manual, "Frontend/Backend Protocol", version 3: start-up without TLS or a password, simple and extended
queries with Sync, and COPY from the client.
"""

import contextlib
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

TEXT, BOOLEAN = 25, 16
_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102
_IDLE, _OPEN, _FAILED = b"I", b"T", b"E"

STATUSES = {
    "server_version": "13.0.0",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "integer_datetimes": "on",
    "TimeZone": "UTC",
}
"""What a connection is told of every server; tests add what tells servers apart."""


@dataclass(frozen=True)
class Refusal:
    """An error in answer to a statement, or to a connection.  ``closes``: the connection ends with it."""

    sqlstate: str
    message: str
    hint: str = ""
    severity: str = "ERROR"
    closes: bool = False

    def fields(self) -> bytes:
        pairs = [("S", self.severity), ("V", self.severity), ("C", self.sqlstate), ("M", self.message)]
        if self.hint:
            pairs.append(("H", self.hint))
        return b"".join(f"{key}{text}".encode() + b"\0" for key, text in pairs) + b"\0"


@dataclass(frozen=True)
class Silence:
    """No answer: the connection is closed instead."""


@dataclass(frozen=True)
class Answer:
    """Rows of text; ``columns`` are their names, and there are none for a statement without rows."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str | None, ...], ...] = ()
    type: int = TEXT
    """Of every column, by its number in pg_type."""


Reply = Refusal | Silence | Answer


@dataclass
class WireDouble:
    """Listens on the loopback while it is entered.

    ``script`` has replies by the beginning of a statement, used up one after the other; the last ``Answer`` of a list stays.
    What begins like none of them is answered with nothing, as a SET would be.  ``greetings`` are used up by connections, None
    lets one in.
    """

    script: dict[str, list[Reply]] = field(default_factory=dict)
    statuses: Mapping[str, str] = field(default_factory=dict)
    greetings: list[Refusal | None] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    """Every statement that was executed, by all connections, in the order of their coming."""
    connections: int = 0
    applications: list[str] = field(default_factory=list)
    copied: bytes = b""
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _open: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> "WireDouble":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # A thread that waits in accept() does not notice a close; shutting down wakes it.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def url(self, user: str = "shop:secret") -> str:
        return f"postgresql://{user}@127.0.0.1:{self._listener.getsockname()[1]}/shop?sslmode=disable"

    def reply(self, statement: str) -> Reply:
        self.sent.append(statement)
        for beginning, replies in self.script.items():
            if statement.startswith(beginning) and replies:
                is_last = len(replies) == 1 and isinstance(replies[0], Answer)
                return replies[0] if is_last else replies.pop(0)
        return Answer()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                # Its many small messages would wait for one another's acknowledgement.
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            if parameters := _start(client):
                self.connections += 1
                self.applications.append(parameters.get("application_name", ""))
                refused = self.greetings.pop(0) if self.greetings else None
                if refused is None:
                    _Conversation(self, client).hold()
                else:
                    _send(client, (b"E", refused.fields()))
        _hang_up(client)


def _hang_up(client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_RDWR)
    client.close()


def _start(client: socket.socket) -> dict[str, str]:
    """Return the parameters of the start-up message; none for a request to cancel."""
    while True:
        (length,) = struct.unpack("!i", _exactly(client, 4))
        body = _exactly(client, length - 4)
        (code,) = struct.unpack("!i", body[:4])
        if code in (_SSL, _GSS):
            client.sendall(b"N")
        elif code == _CANCEL:
            return {}
        else:
            words = [word.decode() for word in body[4:].split(b"\0")]
            return dict(zip(words[::2], words[1::2], strict=False))


def _exactly(client: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        more = client.recv(count - len(found))
        if not more:
            raise EOFError
        found += more
    return found


def _send(client: socket.socket, *messages: tuple[bytes, bytes]) -> None:
    client.sendall(b"".join(kind + struct.pack("!i", len(body) + 4) + body for kind, body in messages))


def _words(body: bytes, count: int) -> list[str]:
    return [word.decode() for word in body.split(b"\0")[:count]]


class _Conversation:
    """One connection after its start."""

    def __init__(self, double: WireDouble, client: socket.socket) -> None:
        self.double = double
        self.client = client
        self.state = _IDLE
        self.prepared: dict[str, str] = {}
        self.portals: dict[str, tuple[str, Reply | None]] = {}
        self.skips = False
        """After an error up to Sync."""

    def hold(self) -> None:
        statuses = {**STATUSES, **self.double.statuses}
        reported = [(b"S", f"{name}\0{value}\0".encode()) for name, value in statuses.items()]
        _send(
            self.client, (b"R", struct.pack("!i", 0)), *reported, (b"K", struct.pack("!ii", 1, 2)), (b"Z", self.state)
        )
        while True:
            kind = _exactly(self.client, 1)
            (length,) = struct.unpack("!i", _exactly(self.client, 4))
            body = _exactly(self.client, length - 4)
            if kind == b"X" or not self._hear(kind, body):
                return

    def _hear(self, kind: bytes, body: bytes) -> bool:
        """Act on one message; False when the connection is to be closed."""
        if kind == b"Q":
            (text,) = _words(body, 1)
            goes_on = self._answer(text, self.double.reply(text), described=True)
            self.skips = False
            if goes_on:
                _send(self.client, (b"Z", self.state))
            return goes_on
        if kind == b"S":
            self.skips = False
            _send(self.client, (b"Z", self.state))
        elif not self.skips:
            return self._extended(kind, body)
        return True

    def _extended(self, kind: bytes, body: bytes) -> bool:
        if kind == b"P":
            name, text = _words(body, 2)
            self.prepared[name] = text
            _send(self.client, (b"1", b""))
        elif kind == b"B":
            portal, name = _words(body, 2)
            self.portals[portal] = (self.prepared[name], None)
            _send(self.client, (b"2", b""))
        elif kind == b"D":
            (name,) = _words(body[1:], 1)
            if body[:1] == b"S":
                # What a statement takes and gives is not known before it is executed.
                _send(self.client, (b"t", struct.pack("!h", 0)), (b"n", b""))
                return True
            text, _ = self.portals[name]
            reply = self.double.reply(text)
            self.portals[name] = (text, reply)
            if isinstance(reply, Answer):
                _send(self.client, _description(reply))
        elif kind == b"E":
            (name,) = _words(body, 1)
            text, decided = self.portals.pop(name)
            # The driver asks for a description first; then the reply is known, and counted, already.
            return self._answer(text, decided or self.double.reply(text), described=decided is None)
        elif kind == b"C":
            _send(self.client, (b"3", b""))
        return True

    def _answer(self, text: str, reply: Reply, *, described: bool) -> bool:
        if isinstance(reply, Silence):
            return False
        if isinstance(reply, Refusal):
            _send(self.client, (b"E", reply.fields()))
            self.skips = True
            self.state = _IDLE if self.state == _IDLE or _first_word(text) == "COMMIT" else _FAILED
            return not reply.closes
        if _first_word(text) == "COPY":
            return self._take_copy()
        messages = [_description(reply)] if described and reply.columns else []
        messages += [(b"D", _row(row)) for row in reply.rows]
        _send(self.client, *messages, (b"C", self._tag(text, reply)))
        return True

    def _tag(self, text: str, reply: Answer) -> bytes:
        word = _first_word(text)
        if word == "COMMIT" and self.state == _FAILED:
            word = "ROLLBACK"
        if word in ("BEGIN", "COMMIT", "ROLLBACK"):
            self.state = _OPEN if word == "BEGIN" else _IDLE
            return word.encode() + b"\0"
        return f"{word} {len(reply.rows)}".encode() + b"\0"

    def _take_copy(self) -> bool:
        _send(self.client, (b"G", struct.pack("!bh", 0, 0)))
        while True:
            kind = _exactly(self.client, 1)
            (length,) = struct.unpack("!i", _exactly(self.client, 4))
            body = _exactly(self.client, length - 4)
            if kind == b"d":
                self.double.copied += body
            elif kind == b"c":
                return self._answer("COPIED", self.double.reply("COPIED"), described=False)


def _first_word(text: str) -> str:
    return text.split(None, 1)[0].rstrip(";").upper() if text.strip() else ""


def _description(answer: Answer) -> tuple[bytes, bytes]:
    if not answer.columns:
        return b"n", b""
    columns = [name.encode() + b"\0" + struct.pack("!ihihih", 0, 0, answer.type, -1, -1, 0) for name in answer.columns]
    return b"T", struct.pack("!h", len(columns)) + b"".join(columns)


def _row(values: Sequence[str | None]) -> bytes:
    texts = [None if value is None else value.encode() for value in values]
    cells = [struct.pack("!i", -1) if text is None else struct.pack("!i", len(text)) + text for text in texts]
    return struct.pack("!h", len(cells)) + b"".join(cells)
