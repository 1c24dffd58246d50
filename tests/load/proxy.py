"""A TCP proxy before a server that can refuse new connections, reset those that are open, and let them through again."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import urlsplit

_RESET = struct.pack("ii", 1, 0)


@dataclass
class Proxy:
    """A gateway of its own port.  ``accepted`` counts the connections that it took."""

    url: str
    port: int = 0
    cut_after: Callable[[bytes], bool] = lambda _: False
    """Of the bytes that a client sends, whether to reset its connection once the server has them."""
    accepted: int = 0
    _listener: socket.socket | None = None
    _open: set[socket.socket] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> "Proxy":
        self.allow()
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()

    @property
    def through(self) -> str:
        """The server's URL by way of the proxy."""
        parts = urlsplit(self.url)
        user = parts.netloc.rpartition("@")[0]
        return parts._replace(netloc=f"{user}@127.0.0.1:{self.port}").geturl()

    def allow(self) -> None:
        """Take connections from now on, on the same port as before."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def refuse(self) -> None:
        """Refuse new connections, and reset those that are open."""
        self.shut()
        self.cut()

    def shut(self) -> None:
        """Refuse new connections."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                # A close alone leaves it open for as long as the thread accepts from it.
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def cut(self) -> None:
        """Reset every connection, on both sides."""
        with self._lock:
            found, self._open = self._open, set()
        for each in found:
            _reset(each)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open) // 2

    def _accept(self, listener: socket.socket) -> None:
        parts = urlsplit(self.url)
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                server = socket.create_connection((parts.hostname or "", parts.port or 5432))
                for each in (client, server):
                    each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._lock:
                    self._open |= {client, server}
                    self.accepted += 1
                for way in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._forward, args=way, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, is_up: bool) -> None:
        for data in _received(source):
            try:
                if is_up and self.cut_after(data):
                    # First the client, which must not see the answer.
                    _reset(source)
                    sink.sendall(data)
                    break
                sink.sendall(data)
            except OSError:
                break
        with contextlib.suppress(OSError):
            # The server does what it was sent, and then finds the connection closed.
            sink.shutdown(socket.SHUT_WR)
        # Only this thread reads from it; the other, if it still writes to it, finds that out.
        with self._lock:
            self._open.discard(source)
        source.close()


def _received(source: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            yield data


def _reset(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        # Shut down as well: a thread that reads from it keeps a mere close from taking effect.
        each.shutdown(socket.SHUT_RD)
        each.close()
