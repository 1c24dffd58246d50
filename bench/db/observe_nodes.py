"""What CockroachDB's nodes export about themselves at ``/_status/vars``, read beside the load (docs/server.md).

The text is Prometheus' (version 0.0.4); a node's is megabytes long and needs no login
([D:prometheus-endpoint], [D:monitoring-and-alerting]).
"""

import math
import re
import ssl
import time
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPException
from urllib.parse import parse_qs, urlsplit, urlunsplit

from bench.db.observe import Reading
from bench.metrics.nodes import COUNTERS, CPU_LEVELS, HEALTH, LEVELS, NODE, PROCESSOR

PATH = "/_status/vars"
AUTHORITY = "sslrootcert"
NODE_TIMEOUT_S = 6.0
"""What one node may take for its text."""
_SOCKET_TIMEOUT_S = 3.0
_PIECE = 64 * 1024
"""A piece is searched in less than a millisecond, so that arrivals are not held up."""
_TOTALS = frozenset({b"node_id", b"store", b"tenant"})
"""Labels of a series that stands for a whole: with ``server.child_metrics.enabled`` the same name has parts beside it, which
would be counted twice ([D:multi-dimensional-metrics])."""
_LABEL = re.compile(rb'([A-Za-z_]\w*)="')

Spread = Callable[[Callable[["Node"], list[Reading]], Sequence["Node"]], Iterable[list[Reading]]]


@dataclass(frozen=True, slots=True)
class Node:
    """A node's region and the address of its DB Console, e.g. ``http://host:8080``.

    ``authority`` is the file of who signed its certificate; None leaves it to those that this machine trusts.
    """

    region: str
    address: str
    authority: str | None = None

    @classmethod
    def at(cls, region: str, address: str) -> "Node":
        """Return the node at an address, which names the file as a URL of a database does: ``?sslrootcert=ca.crt``."""
        parts = urlsplit(address)
        files = parse_qs(parts.query).get(AUTHORITY)
        return cls(region, urlunsplit((parts.scheme, parts.netloc, parts.path, "", "")), files[0] if files else None)


class Exposition:
    """Sums the values of the wanted names in a text that comes in pieces."""

    def __init__(self, names: Iterable[str]) -> None:
        listed = b"|".join(re.escape(name.encode()) for name in sorted(names, key=len, reverse=True))
        self._line = re.compile(rb"^(" + listed + rb")(?:\{([^}\n]*)\})? +(\S+)", re.MULTILINE)
        self._rest = b""
        self._sums: dict[str, float] = {}

    def feed(self, piece: bytes) -> None:
        """Take the next piece; a line may be cut anywhere."""
        text = self._rest + piece
        end = text.rfind(b"\n") + 1
        self._rest = text[end:]
        self._take(text[:end])

    def sums(self) -> dict[str, float]:
        """Return the sum of each name that was there, over stores and tenants; the text has ended."""
        self._take(self._rest)
        self._rest = b""
        return self._sums

    def _take(self, text: bytes) -> None:
        for name, labels, number in self._line.findall(text):
            if not _TOTALS.issuperset(_LABEL.findall(labels)):
                continue
            value = float(number)
            if math.isfinite(value):
                key = name.decode()
                self._sums[key] = self._sums.get(key, 0.0) + value


def parse(text: str, names: Iterable[str]) -> dict[str, float]:
    """Return the sums of the wanted names in a whole text.

    >>> parse('a{store="1",node_id="1"} 2\\na{store="2",node_id="1"} 3e0\\nab 5\\n', ["a"])
    {'a': 5.0}
    """
    found = Exposition(names)
    found.feed(text.encode())
    return found.sums()


@dataclass(slots=True)
class NodeReader:
    """Reads the metrics of all nodes.  ``notes`` collects who did not answer, and what is not exported.

    ``spread`` maps a function over the nodes, at the same time where it can; ``breathe`` lets others go on between pieces.
    """

    nodes: Sequence[Node]
    spread: Spread = map
    breathe: Callable[[], None] = lambda: None
    notes: list[str] = field(default_factory=list)
    _said: set[str] = field(default_factory=set)

    def read(self) -> list[Reading]:
        """Return every metric of every node that answers."""
        return [reading for found in self.spread(self._read, self.nodes) for reading in found]

    def has_open_sessions(self) -> bool:
        """False: a node's counters are current whoever is connected."""
        return False

    def close(self) -> None:
        """Nothing is kept open between two readings."""

    def _read(self, node: Node) -> list[Reading]:
        try:
            found = self._fetch(node)
        except (OSError, HTTPException, ValueError) as error:
            self.notes.append(f"no metrics of {node.region} from {node.address}: {_reason(error)}")
            return []
        missing = [name for name in _WANTED if name not in found]
        if missing and node.address not in self._said:
            self._said.add(node.address)
            listed = "none of the metrics of CockroachDB" if not found else f"all but {', '.join(missing)}"
            self.notes.append(f"{node.address} exports {listed}")
        return list(_readings(node, found))

    def _fetch(self, node: Node) -> dict[str, float]:
        until = time.monotonic() + NODE_TIMEOUT_S
        found = Exposition(_WANTED)
        # Never by a proxy of the environment: a node is reached as directly as its SQL port.
        trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=node.authority))
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trust)
        with opener.open(f"{node.address.rstrip('/')}{PATH}", timeout=_SOCKET_TIMEOUT_S) as answer:
            while piece := answer.read1(_PIECE):
                found.feed(piece)
                self.breathe()
                if time.monotonic() > until:
                    raise TimeoutError(f"not all of it within {NODE_TIMEOUT_S:g} s")
        return found.sums()


_KINDS = (
    dict.fromkeys((metric.name for metric in COUNTERS), NODE)
    | dict.fromkeys(LEVELS, HEALTH)
    | dict.fromkeys(CPU_LEVELS, PROCESSOR)
)
_WANTED = tuple(_KINDS)


def _readings(node: Node, found: Mapping[str, float]) -> Iterator[Reading]:
    for name, value in found.items():
        yield Reading(node.region, _KINDS[name], node.address, name, value)


def _reason(error: Exception) -> str:
    said = getattr(error, "reason", None) or error
    return (str(said).splitlines() or [""])[0] or type(error).__name__
