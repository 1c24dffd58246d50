"""A TCP proxy that resets connections on demand: the real thing that a network does, on the loopback."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_RESET = struct.pack("ii", 1, 0)


@dataclass
class Proxy:
    """Forwards to a server until ``cut`` says, of the bytes that a client sends, to reset its connection.

    The bytes are forwarded first, so the server acts on them; the client never hears of it.
    """

    url: str
    cut: Callable[[bytes], bool] = lambda _: False
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _open: list[socket.socket] = field(default_factory=list)

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for each in self._open:
            _reset(each)

    @property
    def through(self) -> str:
        """The server's URL by way of the proxy."""
        parts = urlsplit(self.url)
        user = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{user}@127.0.0.1:{self._listener.getsockname()[1]}").geturl()

    def _accept(self) -> None:
        parts = urlsplit(self.url)
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((parts.hostname or "", parts.port or 5432))
                self._open += [client, server]
                threading.Thread(target=self._up, args=(client, server), daemon=True).start()
                threading.Thread(target=_down, args=(server, client), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                if self.cut(data):
                    _reset(client)
                    server.sendall(data)
                    break
                server.sendall(data)
            # The server does what it was sent, and then finds the connection closed.
            server.shutdown(socket.SHUT_WR)


def _down(server: socket.socket, client: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := server.recv(65536):
            client.sendall(data)


def _reset(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        # Shut down as well: a thread that reads from it keeps a mere close from taking effect.
        each.shutdown(socket.SHUT_RD)
        each.close()
