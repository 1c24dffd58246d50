"""The server's own counters, on a connection that takes no part in the load."""

from dataclasses import dataclass

import psycopg

from bench.db.catalogue import Catalogue
from bench.db.connection import Connection, connect


@dataclass(slots=True)
class Observer:
    """Reads the counters that the dialect has a statement for; says nothing while the server does not answer."""

    url: str
    catalogue: Catalogue
    _connection: Connection | None = None

    def collect(self) -> dict[str, float]:
        """Return cumulative counters by name; empty when there is no statement for them or no answer."""
        if "server_counters" not in self.catalogue:
            return {}
        try:
            if self._connection is None:
                self._connection = connect(self.url, application="shopbench-observer")
            cursor = self._connection.execute(self.catalogue["server_counters"].sql)
            found = cursor.fetchone()
        except psycopg.Error:
            self.close()
            return {}
        names = [column.name for column in cursor.description or ()]
        return {name: float(number) for name, number in zip(names, found or (), strict=True) if number is not None}

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
