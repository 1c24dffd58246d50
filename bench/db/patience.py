"""Work for which a server that is just being restarted is waited for: all that is not load, before and after it."""

from collections.abc import Callable
from random import Random
from typing import TypeVar

import psycopg

from bench.db.retry import RetryPolicy
from bench.db.session import Effects
from bench.db.taxonomy import classify
from bench.errors import TargetError
from bench.units import NS_PER_S, format_duration

T = TypeVar("T")


def patiently(work: Callable[[], T], within_s: float, effects: Effects, what: str) -> T:
    """Return what ``work`` returns, done anew after a back-off while its connection is lost or refused.

    TargetError saying that ``what`` could not be done once ``within_s`` have passed; other errors are raised as they are.
    ``work`` must be such that it can be done twice.
    """
    policy, rng = RetryPolicy(), Random()
    deadline = effects.clock() + int(within_s * NS_PER_S)
    failures = 0
    while True:
        try:
            return work()
        except psycopg.Error as error:
            if classify(error.sqlstate, str(error), at_commit=False).action != "reconnect":
                raise
            failures += 1
            if effects.clock() > deadline:
                raise TargetError(
                    f"{what}: no connection for {format_duration(within_s)}",
                    cause=(str(error).splitlines() or [type(error).__name__])[0],
                ) from None
            effects.sleep(policy.reconnect_s(failures, rng))
