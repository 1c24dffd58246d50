"""Who plays what: the users and arrivals of a run, shared out among workers without overlap.

May import ``scenario`` and ``errors`` only.  An arrival belongs to the worker whose turn its number is among those that have
users in its region; when a worker is lost, its turns are cut into finer ones for the others.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.errors import UsageError
from bench.scenario.schedule import Schedule

Serving = frozenset[str] | None
"""The regions that a worker may have users in; None for all."""


@dataclass(frozen=True, slots=True)
class Holding:
    """The arrivals of a region whose number, modulo ``count``, is ``which``."""

    region: str
    which: int
    count: int


@dataclass(frozen=True, slots=True)
class Share:
    """What one worker plays: users by region, arrivals, and which of a closed model's users its own are."""

    users: Mapping[str, int]
    holdings: tuple[Holding, ...]
    players: Mapping[str, tuple[int, ...]]

    def parts(self, schedule: Schedule, regions: Sequence[str]) -> list[Schedule]:
        """Return the arrivals of this share, one schedule a holding; ``regions`` are the scenario's, in order."""
        place = {region: number for number, region in enumerate(regions)}
        return [schedule.part({place[h.region]: (h.which, h.count)}) for h in self.holdings]

    def with_more(self, more: "Share") -> "Share":
        """Return this share and another as one."""
        users = dict(Counter(self.users) + Counter(more.users))
        regions = [*self.players, *(region for region in more.players if region not in self.players)]
        players = {region: (*self.players.get(region, ()), *more.players.get(region, ())) for region in regions}
        return Share(users, (*self.holdings, *more.holdings), players)


def share_out(users: Mapping[str, int], serving: Sequence[Serving]) -> tuple[Share, ...]:
    """Return each worker's share of a run; UsageError when a region is served by none.

    The users of a region are divided evenly among the workers that serve it, and its arrivals among those that got any.
    """
    given: list[dict[str, int]] = [{} for _ in serving]
    holdings: list[list[Holding]] = [[] for _ in serving]
    players: list[dict[str, tuple[int, ...]]] = [{} for _ in serving]
    left_over = 0
    for region, count in users.items():
        mine = [number for number, served in enumerate(serving) if served is None or region in served]
        if not mine:
            raise UsageError(
                f"no worker serves the region '{region}'", hint="start one that does, or one without --regions"
            )
        # What does not divide evenly goes to another worker in each region.
        mine = [*mine[left_over % len(mine) :], *mine[: left_over % len(mine)]]
        left_over += count % len(mine)
        busy = mine[:count]
        for turn, worker in enumerate(busy):
            numbers = tuple(range(turn, count, len(busy)))
            given[worker][region] = len(numbers)
            players[worker][region] = numbers
            holdings[worker].append(Holding(region, turn, len(busy)))
    return tuple(Share(u, tuple(h), p) for u, h, p in zip(given, holdings, players, strict=True))


def hand_over(lost: Share, survivors: Mapping[str, Serving], newcomers: Mapping[str, int]) -> dict[str, Share]:
    """Return what each survivor takes over of a lost worker's share; UsageError when a region has nobody left.

    ``newcomers`` are the numbers from which a closed model's new users are counted, by region: those who come in for the
    lost ones are others, because what the lost ones had done by then is not known.
    """
    users: dict[str, dict[str, int]] = {name: {} for name in survivors}
    holdings: dict[str, list[Holding]] = {name: [] for name in survivors}
    players: dict[str, dict[str, tuple[int, ...]]] = {name: {} for name in survivors}
    for region, count in lost.users.items():
        mine = [name for name, served in survivors.items() if served is None or region in served]
        if not mine:
            raise UsageError(f"no other worker serves the region '{region}'")
        for turn, name in enumerate(mine):
            numbers = tuple(newcomers.get(region, 0) + n for n in range(turn, count, len(mine)))
            users[name][region], players[name][region] = len(numbers), numbers
        for holding in lost.holdings:
            if holding.region == region:
                for turn, name in enumerate(mine):
                    which, of = holding.which + holding.count * turn, holding.count * len(mine)
                    holdings[name].append(Holding(region, which, of))
    return {name: Share(users[name], tuple(holdings[name]), players[name]) for name in survivors}


def joined(share: Share, schedule: Schedule, regions: Sequence[str]) -> Schedule:
    """Return the arrivals of a share that has one holding a region, as shares have before any worker is lost."""
    place = {region: number for number, region in enumerate(regions)}
    return schedule.part({place[h.region]: (h.which, h.count) for h in share.holdings})
