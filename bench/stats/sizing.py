"""What N orders a minute need, as far as one measured server can say.  Pure.

Nothing is extrapolated: a rate below the interval is met, one above it is not, and one within it cannot be told.  How many
such servers would do is not answered, because one server measured alone does not show how several share the work.
"""

import math
from dataclasses import dataclass
from typing import Literal

from bench.stats.knee import Knee

Answer = Literal["yes", "no", "cannot tell"]


@dataclass(frozen=True, slots=True)
class Sizing:
    """The answer for a wanted rate: sessions a second that it takes, headroom, and the users (connections) to hold.

    ``headroom`` is how far the lower end of the interval is above what is needed, as a share of it (below zero: it is short).
    ``mean_busy`` are users at work on average, by Little's law; ``connections`` leaves three standard deviations of a Poisson
    number above it, as the number at work has where enough users are there (M/G/infinity).
    """

    orders_per_min: float
    orders_per_session: float
    needed_per_s: float
    answer: Answer
    headroom: float | None
    mean_busy: float | None
    connections: int | None


def size(orders_per_min: float, orders_per_session: float, knee: Knee, service_s: float | None) -> Sizing:
    """Return the answer; ``service_s`` is the mean time that a session keeps its user at a rate that held."""
    needed = orders_per_min / 60 / orders_per_session
    busy = None if service_s is None else needed * service_s
    return Sizing(
        orders_per_min,
        orders_per_session,
        needed,
        _answer(needed, knee),
        None if knee.low is None else knee.low / needed - 1,
        busy,
        None if busy is None else math.ceil(busy + 3 * math.sqrt(busy)),
    )


def _answer(needed: float, knee: Knee) -> Answer:
    if knee.low is not None and needed <= knee.low:
        return "yes"
    return "no" if knee.high is not None and needed > knee.high else "cannot tell"
