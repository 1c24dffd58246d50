"""Who wanted something scarce and was never let in: arrivals that were dropped before any user could play them."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from bench.load.user import ShopUser
from bench.metrics.frame import Contender
from bench.metrics.recorder import DROPPED, ArrivalLabel, Recorder
from bench.units import NS_PER_S

Missed = Callable[[ArrivalLabel, int, int, int], None]
"""Takes a dropped arrival: its label, its seed, when it was due and when it was given up, in nanoseconds since the start."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """Records dropped buyers as contenders who got nothing: without them only those who got in would be compared."""

    user_class: type[ShopUser]
    state: Any
    recorder: Recorder

    def missed(self, label: ArrivalLabel, seed: int, due_ns: int, ended_ns: int) -> None:
        """Record a dropped arrival, if it came for something scarce."""
        if label.session not in self.user_class.hot_sessions:
            return
        key = self.user_class.wish(self.state, label.region, label.session, Random(seed))
        if key is not None:
            buyer = Contender(label.region, key, due_ns / NS_PER_S, ended_ns / NS_PER_S, DROPPED, 0)
            self.recorder.contender(buyer)
