"""What is tested: a database, how each region reaches it, and how far away that is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.db.connection import any_of
from bench.db.ddl import Dialect

Kind = Literal["embedded", "url", "cluster"]


@dataclass(frozen=True, slots=True)
class Target:
    """A database ready to be used.  ``gateways`` are the URLs of each region, used in turn by its users."""

    kind: Kind
    dialect: Dialect
    server_version: str
    variant: str
    gateways: Mapping[str, tuple[str, ...]]
    distance_ms: Mapping[str, float] = field(default_factory=dict)
    """Emulated round trip by region; empty where distance is real."""
    is_alive: Callable[[], bool] = field(default=lambda: True)
    """False once the server is known to be gone for good."""
    metrics: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By region, where its nodes export their metrics (``http://host:8080``); empty where they are not read."""
    checks_gateway: bool = False
    """Whether each connection must answer from its own region."""

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions, the primary first."""
        return tuple(self.gateways)

    @property
    def admin_url(self) -> str:
        """The address for everything that is not load (preparing, observing, auditing): the first gateway that answers."""
        return any_of([url for urls in self.gateways.values() for url in urls])

    def distance_s(self, region: str) -> float:
        """Return the emulated round trip of a region in seconds."""
        return self.distance_ms.get(region, 0.0) / 1000
