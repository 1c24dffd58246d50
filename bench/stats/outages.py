"""When connections to the database were lost or refused, where, and what that cost.  Pure.

An outage is worked out from what was recorded second by second, not from what the engine thought, so it is the same for
one process and for several, and for a run that was killed.  It begins with the first attempt that ended because its
connection was lost or refused, and is over with the last refusal: what is lost after that was lost before, and noticed by
a user that had been idle.  Users come back after their back-off, so the first answers come up to ``retry.cap_ms`` later.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.metrics.frame import COMMIT_UNKNOWN, LOST_CONNECTION, Disconnect
from bench.units import format_duration

QUIET_S = 2.0
"""Refusals further apart are of two outages: a user that is refused tries again within half a second (``retry.cap_ms``)."""
NOTICED_WITHIN_S = 10.0
"""A connection that turns out to be lost so long after an outage is put down to it, where none is refused."""
RECOVERY_S = 2.0
"""After its end, for the transactions that waited for it to get their answers."""
_GIVEN_UP = {*LOST_CONNECTION, COMMIT_UNKNOWN}
_NAMED = 2
"""Regions named in one line; of more their number is told."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What ended in one second (``from_s`` to ``to_s``) in one region: the facts about an outage that the counts hold.

    ``given_up`` is of transactions, by outcome; ``longest_ms`` the longest response time of one that ended.
    """

    region: str
    from_s: float
    to_s: float
    answered: int
    given_up: Mapping[str, int]
    longest_ms: float | None


@dataclass(frozen=True, slots=True)
class Outage:
    """A time without connections, in the regions named (in the run's order).

    ``ended_s`` is the last refusal; it equals ``began_s`` where connections were cut and none was refused.  ``given_up``
    counts transactions that got no answer for it, ``aborted`` attempts that ended for it.  ``longest_wait_ms`` is the
    longest response time of what ended from its begin until ``RECOVERY_S`` after its end.  ``is_over`` is False when no
    statement was answered after it.
    """

    began_s: float
    ended_s: float
    regions: tuple[str, ...]
    given_up: int
    aborted: int
    longest_wait_ms: float | None
    is_over: bool


def outages(disconnects: Iterable[Disconnect], ended: Iterable[Ended], regions: Sequence[str]) -> tuple[Outage, ...]:
    """Return the outages of a run in order of time; what several regions felt at one time is one outage."""
    lost, seconds = list(disconnects), list(ended)
    places = [*regions, *sorted({each.region for each in lost} - set(regions))]
    found: list[Outage] = []
    for region in places:
        spans = list(_spans(sorted((d for d in lost if d.region == region), key=lambda d: d.began_s)))
        mine = [second for second in seconds if second.region == region]
        for number, span in enumerate(spans):
            until_s = spans[number + 1].began_s if number + 1 < len(spans) else float("inf")
            found.append(_with_costs(span, mine, until_s))
    return tuple(_merged(sorted(found, key=lambda each: each.began_s), places))


def _spans(disconnects: Iterable[Disconnect]) -> Iterator[Outage]:
    """Yield the outages of one region, with the attempts that they ended."""
    current: Outage | None = None
    for each in disconnects:
        count = each.lost + each.refused
        patience_s = QUIET_S if each.refused else NOTICED_WITHIN_S
        ended_s = each.began_s if each.refused_until_s is None else each.refused_until_s
        if current is not None and each.began_s - current.ended_s <= patience_s:
            last_s = current.ended_s if each.refused_until_s is None else max(current.ended_s, ended_s)
            current = replace(current, ended_s=last_s, aborted=current.aborted + count)
            continue
        if current is not None:
            yield current
        current = Outage(each.began_s, ended_s, (each.region,), 0, count, None, is_over=False)
    if current is not None:
        yield current


def _with_costs(span: Outage, seconds: Sequence[Ended], until_s: float) -> Outage:
    """Return an outage with what ended for it; transactions may give up long after it, until the second of the next."""
    after = [second for second in seconds if span.began_s < second.to_s <= until_s]
    given_up = sum(n for second in after for reason, n in second.given_up.items() if reason in _GIVEN_UP)
    waits = [second.longest_ms for second in after if second.from_s <= span.ended_s + RECOVERY_S]
    return replace(
        span,
        given_up=given_up,
        longest_wait_ms=max((wait for wait in waits if wait is not None), default=None),
        is_over=any(second.answered and second.to_s > span.ended_s for second in seconds),
    )


def _merged(found: Iterable[Outage], places: Sequence[str]) -> Iterator[Outage]:
    current: Outage | None = None
    for each in found:
        patience_s = QUIET_S if _is_refused(each) else NOTICED_WITHIN_S
        if current is not None and each.began_s <= current.ended_s + patience_s:
            current = _both(current, each, places)
            continue
        if current is not None:
            yield current
        current = each
    if current is not None:
        yield current


def _is_refused(outage: Outage) -> bool:
    return outage.ended_s > outage.began_s


def _both(one: Outage, other: Outage, places: Sequence[str]) -> Outage:
    waits = [wait for wait in (one.longest_wait_ms, other.longest_wait_ms) if wait is not None]
    began_s = min(one.began_s, other.began_s)
    return Outage(
        began_s=began_s,
        ended_s=max((each.ended_s for each in (one, other) if _is_refused(each)), default=began_s),
        regions=tuple(place for place in places if place in one.regions or place in other.regions),
        given_up=one.given_up + other.given_up,
        aborted=one.aborted + other.aborted,
        longest_wait_ms=max(waits, default=None),
        is_over=one.is_over and other.is_over,
    )


def outage_line(outage: Outage, regions: Sequence[str]) -> str:
    """Return an outage in one line of a terminal: when, where, and what it cost.

    >>> outage_line(Outage(12.02, 14.11, ("us-east",), 31, 85, 2600.0, True), ("us-east",))
    'outage 12.0-14.1 s, all regions: 31 transactions given up, 85 attempts aborted, max wait 2.6 s'
    """
    given_up = _plural(outage.given_up, "transaction") if outage.given_up else "no transaction"
    wait = outage.longest_wait_ms
    longest = "" if wait is None else f", max wait {format_duration(wait / 1000)}"
    lost = f"{given_up} given up, {_plural(outage.aborted, 'attempt')} aborted{longest}"
    return f"{_when(outage)}, {_where(outage.regions, regions)}: {lost}"


def _when(outage: Outage) -> str:
    if not outage.is_over:
        return f"outage from {outage.began_s:.1f} s on"
    if _is_refused(outage):
        return f"outage {outage.began_s:.1f}-{outage.ended_s:.1f} s"
    return f"cut off at {outage.began_s:.1f} s"


def _where(felt: Sequence[str], regions: Sequence[str]) -> str:
    if set(felt) >= set(regions):
        return "all regions"
    return ", ".join(felt) if len(felt) <= _NAMED else _plural(len(felt), "region")


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
