"""A server that answers at once: enough of PostgreSQL's protocol 3.0 to load the generator and nothing else.

Every statement that returns rows returns one row of one integer; BEGIN and COMMIT are told apart, and ``pg_sleep`` sleeps a
tenth of a second, because bench asks for that before a run.  Message formats: PostgreSQL documentation, chapter "Message
Formats".  Run ``python tests/benchmarks/null_server.py`` for a server by itself; it prints its port.
"""

import argparse
import asyncio
import struct

_SSL, _GSS, _CANCEL = 80877103, 80877104, 80877102
_SLEEP_S = 0.1
_KEPT = 4096
"""Requests whose answer is remembered, for each connection: those of a load repeat."""


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def text(*parts: str) -> bytes:
    return b"".join(part.encode() + b"\0" for part in parts)


PARAMETERS = {
    "server_version": "18.0",
    "server_encoding": "UTF8",
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "integer_datetimes": "on",
    "TimeZone": "UTC",
}
WELCOME = b"".join(
    (
        message(b"R", struct.pack("!i", 0)),
        *(message(b"S", text(key, value)) for key, value in PARAMETERS.items()),
        message(b"K", struct.pack("!ii", 1, 1)),
        message(b"Z", b"I"),
    )
)
ROW_DESCRIPTION = message(b"T", struct.pack("!h", 1) + text("n") + struct.pack("!ihihih", 0, 0, 23, 4, -1, 0))
DATA_ROW = message(b"D", struct.pack("!hi", 1, 1) + b"1")
PARSE_COMPLETE, BIND_COMPLETE, CLOSE_COMPLETE = message(b"1"), message(b"2"), message(b"3")
NO_DATA, PARAMETER_DESCRIPTION = message(b"n"), message(b"t", struct.pack("!h", 0))
READY = {state: message(b"Z", state) for state in (b"I", b"T")}
_TAGS = {"BEGIN": b"T", "COMMIT": b"I", "ROLLBACK": b"I"}
"""Statements without rows, and the state that they leave the connection in."""


class Null(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.rest = b""
        self.started = False
        self.state = b"I"
        self.kinds: dict[bytes, str] = {}
        self.portal = ""
        self.known: dict[tuple[bytes, bytes], tuple[bytes, bytes]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        assert self.transport is not None
        if self.started and not self.rest:
            found = self.known.get((self.state, data))
            if found is not None:
                self.state = found[1]
                self.transport.write(found[0])
                return
        self.take(data)

    def take(self, data: bytes) -> None:
        assert self.transport is not None
        before, whole = self.state, not self.rest and self.started
        self.rest += data
        answer, sleeps, learns = b"", False, False
        while (part := self.next_part()) is not None:
            kind, body = part
            if kind == b"X":
                self.transport.close()
                return
            sleeps = sleeps or b"pg_sleep" in body
            learns = learns or kind in (b"P", b"C", b"")
            answer += self.answer(kind, body)
        if sleeps:
            asyncio.get_running_loop().call_later(_SLEEP_S, self.transport.write, answer)
            return
        if whole and not learns and not self.rest and len(self.known) < _KEPT:
            self.known[before, data] = (answer, self.state)
        self.transport.write(answer)

    def next_part(self) -> tuple[bytes, bytes] | None:
        head = 1 if self.started else 0
        if len(self.rest) < head + 4:
            return None
        (length,) = struct.unpack_from("!i", self.rest, head)
        if len(self.rest) < head + length:
            return None
        kind, body = self.rest[:head], self.rest[head + 4 : head + length]
        self.rest = self.rest[head + length :]
        return kind, body

    def answer(self, kind: bytes, body: bytes) -> bytes:
        match kind:
            case b"":
                return self.start(body)
            case b"Q":
                self.portal = kind_of(body)
                return self.describe() + self.execute() + READY[self.state]
            case b"E":
                return self.execute()
            case b"S":
                return READY[self.state]
            case b"D":
                return self.describe_for(body)
        return self.prepare(kind, body)

    def prepare(self, kind: bytes, body: bytes) -> bytes:
        if kind == b"P":
            name, _, query = body.partition(b"\0")
            self.kinds[name] = kind_of(query)
            return PARSE_COMPLETE
        if kind == b"B":
            self.portal = self.kinds.get(body.split(b"\0", 2)[1], "")
            return BIND_COMPLETE
        return CLOSE_COMPLETE if kind == b"C" else b""

    def describe_for(self, body: bytes) -> bytes:
        if body[:1] != b"S":
            return self.describe() or NO_DATA
        self.portal = self.kinds.get(body[1:-1], "")
        return PARAMETER_DESCRIPTION + (self.describe() or NO_DATA)

    def start(self, body: bytes) -> bytes:
        (code,) = struct.unpack_from("!i", body)
        if code in (_SSL, _GSS):
            return b"N"
        if code == _CANCEL:
            return b""
        self.started = True
        return WELCOME

    def describe(self) -> bytes:
        return b"" if self.portal in _TAGS else ROW_DESCRIPTION

    def execute(self) -> bytes:
        if self.portal in _TAGS:
            self.state = _TAGS[self.portal]
            return message(b"C", text(self.portal))
        return DATA_ROW + message(b"C", text("SELECT 1"))


def kind_of(query: bytes) -> str:
    word = query.split(b"\0", 1)[0].strip().split(b" ", 1)[0].rstrip(b";").upper().decode()
    return word if word in _TAGS else "SELECT"


async def serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Null, "127.0.0.1", port, reuse_port=True)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(serve(parser.parse_args().port))


if __name__ == "__main__":
    main()
