"""How many users each region needs: Little's law, L = λ · W, with stated headroom and a stated cap.

A region's busy users are on average its arrivals per second times the seconds that each keeps its user.  The latter is
estimated from the statements of a session, each of which takes one exchange with the server.  It leaves waiting for locks
out, which no plan can know: where a run reports that arrivals waited for a user, give ``users`` or ``session_time``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.scenario import curves
from bench.scenario.model import Scenario
from bench.scenario.offer import apportion, bursts, offers

HEADROOM = 1.5
SERVER_S = 0.003
"""Server and client together, for one statement."""
EXCHANGES = 12
"""Statements of a session whose class does not say."""
LEAST = 4
"""Users of a region at least: with fewer, two arrivals close together wait for each other."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Users by region, and by region what Little's law asks for."""

    users: Mapping[str, int]
    needed: Mapping[str, int]
    note: str = ""
    """What is to be said of the pool before the run; empty where it holds what is needed."""

    @property
    def total(self) -> int:
        """Users over all regions."""
        return sum(self.users.values())


def session_seconds(scenario: Scenario, exchanges: Mapping[str, int], session: str, region: str) -> float:
    """Return how long a session is expected to keep its user, in a region."""
    given = scenario.session_time.get(session)
    if given is not None:
        return given
    return exchanges.get(session, EXCHANGES) * (scenario.distance_ms.get(region, 0.0) / 1000 + SERVER_S)


def size_pool(scenario: Scenario, exchanges: Mapping[str, int]) -> Pool:
    """Return the users of each region; ``exchanges`` says how many statements a session sends."""
    if scenario.model == "closed":
        assert scenario.users != "auto"
        users = apportion(scenario.users, {region.name: region.share for region in scenario.regions}, 1)
        return Pool(users, users)
    loads = _loads(scenario, exchanges)
    needed = {region: max(LEAST, _whole(load)) for region, load in loads.items()}
    if scenario.users != "auto":
        return Pool(_split(scenario.users, loads, scenario), needed)
    total = sum(needed.values())
    if total <= scenario.max_users:
        return Pool(needed, needed)
    least = LEAST if LEAST * len(needed) <= scenario.max_users else 1
    note = f"the pool is capped at {scenario.max_users} users (max_users); the planned load needs about {total}"
    return Pool(apportion(scenario.max_users, loads, least), needed, note)


def _split(total: int, loads: Mapping[str, float], scenario: Scenario) -> dict[str, int]:
    """Return a given number of users, half by what regions need and half by their shares of the arrivals.

    What a region needs grows with its distance; waiting for a lock, which no plan knows, comes to every region alike.
    """
    whole, shares = sum(loads.values()) or 1.0, sum(region.share for region in scenario.regions)
    weights = {region.name: loads[region.name] / whole + region.share / shares for region in scenario.regions}
    return apportion(total, weights, 1)


def _whole(load: float) -> int:
    return int(-(-load // 1))


def _loads(scenario: Scenario, exchanges: Mapping[str, int]) -> dict[str, float]:
    """Return the users that each region needs at its busiest, before rounding: its bursts at once, the rest with headroom."""
    loads = {region.name: 0.0 for region in scenario.regions}
    for phase in scenario.phases:
        busy: dict[str, list[curves.Curve]] = {name: [] for name in loads}
        for offer in offers(scenario, phase):
            held = session_seconds(scenario, exchanges, offer.session, offer.region)
            busy[offer.region].append(offer.curve.scaled(held))
        at_once = dict.fromkeys(loads, 0)
        for _, region, count in bursts(scenario, phase):
            at_once[region] += count
        for name, found in busy.items():
            loads[name] = max(loads[name], HEADROOM * curves.highest(found) + at_once[name])
    return loads
