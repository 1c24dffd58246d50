"""The cache of an application server: what is read often and changes seldom is kept for a while.

Of stock nothing is kept: a page that offers what is gone costs more than the read that it saves.  May import nothing.
"""

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

MAX_ENTRIES = 20_000
"""Bounds the memory of a long run; the catalogue that shoppers know has 2,000 items in each of a few regions."""


@dataclass(slots=True)
class Cache:
    """Values by key, each for ``ttl_ns`` from when it was read; ``clock`` in nanoseconds, monotonic.

    One of a process.  Keys begin with the region, because each region has application servers of its own, which do not
    spare each other a read.  Users that miss the same key at the same time all read it, as in a cache without locks.
    """

    ttl_ns: int
    clock: Callable[[], int]
    hits: int = 0
    misses: int = 0
    _entries: dict[Hashable, tuple[int, Any]] = field(default_factory=dict)

    def get(self, key: Hashable, load: Callable[[], Any]) -> Any:
        """Return the value of a key, from ``load`` when there is none that is fresh; what ``load`` raises is not kept."""
        found = self._entries.get(key)
        if found is not None and self.clock() < found[0]:
            self.hits += 1
            return found[1]
        self.misses += 1
        value = load()
        if len(self._entries) >= MAX_ENTRIES:
            # The one that came first: near enough to the stalest, and found at once.
            del self._entries[next(iter(self._entries))]
        self._entries.pop(key, None)
        self._entries[key] = (self.clock() + self.ttl_ns, value)
        return value


def through(cache: Cache | None, key: Hashable, load: Callable[[], Any]) -> Any:
    """Return a value by way of a cache, where there is one."""
    return load() if cache is None else cache.get(key, load)
