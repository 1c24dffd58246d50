"""The answer of ``bench capacity`` in words, the same on the terminal, the page and in Markdown.  Pure."""

from collections.abc import Iterator

from bench.stats.capacity import Capacity, Made, RegionLimit
from bench.stats.knee import Knee
from bench.stats.limits import MACHINE_SHARE
from bench.stats.sizing import Sizing
from bench.stats.verdict import plural
from bench.stats.waits import POOL_OF
from bench.units import format_duration, format_share

_SAID = {
    "held": "it held",
    "broke": "it broke",
    "unclear": "the probe was not clear",
    "generator": "the generator was not fit to measure",
}


def headline(found: Capacity) -> str:
    """Return the answer in one sentence that needs no other."""
    knee, objective = found.knee, found.objective.describe()
    orders = _orders(found, knee.low)
    unit = "sessions/s of all regions" if found.objective.region else "sessions/s"
    if knee.low is None and knee.high is None:
        return f"The limit was not found: no probe says clearly at which rate {objective} holds."
    if knee.low is None:
        return f"Below {rate(knee.high)} {unit} at most: no rate that was probed shows clearly that {objective} holds."
    if knee.high is None:
        why = ""
        if found.ceiling:
            why = f"; from {rate(found.ceiling)} on the generator, not the server, was the limit"
        return f"At least {rate(knee.low)} {unit}{orders} with {objective}{why}."
    return (
        f"{rate(knee.low)} {unit}{orders} with {objective}; the limit is between {rate(knee.low)} and "
        f"{rate(knee.high)} (95 % interval)."
    )


def rate(value: float | None) -> str:
    """Return a rate per second with three digits, a dash for none.

    >>> rate(12.345), rate(1234.5), rate(None)
    ('12.3', '1,234', '–')
    """
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _orders(found: Capacity, per_s: float | None) -> str:
    if per_s is None or not found.orders_per_session:
        return ""
    return f" ({rate(per_s * found.orders_per_session * 60)} orders/min)"


def interval(knee: Knee) -> str:
    """Return the interval of a limit in words."""
    if knee.low is not None and knee.high is not None:
        return f"{rate(knee.low)} to {rate(knee.high)}"
    if knee.low is not None:
        return f"at least {rate(knee.low)}"
    return f"below {rate(knee.high)}" if knee.high is not None else "not found"


def sizing_sentence(sizing: Sizing) -> str:
    """Return the answer for the wanted orders."""
    wanted = f"{rate(sizing.orders_per_min)} orders/min ({rate(sizing.needed_per_s)} sessions/s)"
    users = ""
    if sizing.mean_busy is not None:
        users = f" They keep {sizing.mean_busy:.1f} connections busy on average; hold {sizing.connections}."
    if sizing.answer == "yes":
        return f"Yes: one such server gives {wanted}, with {format_share(sizing.headroom or 0.0)} headroom.{users}"
    if sizing.answer == "no":
        short = "" if sizing.headroom is None else f": it is {format_share(-sizing.headroom)} short"
        return f"No: one such server does not give {wanted} within the objective{short}."
    return f"Cannot tell: {wanted} is within the interval, or beyond what was measured."


def assumptions(made: Made) -> Iterator[str]:
    """Yield what the answer takes for granted."""
    yield "What holds at one rate holds at every lower one."
    yield "The mix of sessions and regions is that of the scenario's busiest measured phase, at a constant rate."
    yield f"A rate that held for {format_duration(made.longest_s)} holds for longer: no growth of data, no nightly jobs."
    if made.is_fresh:
        yield "Every probe began from a fresh copy of the same seeded data, so none feels what another left behind."
    else:
        yield "Probes ran on the same database: each found what those before it had left, stock sold included."
    if made.distance_ms:
        places = ", ".join(f"{place} {ms:.3g} ms" for place, ms in made.distance_ms.items())
        yield f"Distance is emulated ({places}), client to gateway; response times include it."
    if made.server.startswith("embedded"):
        yield f"Server and generator share the {made.cores} cores of one machine: a server of its own gives more."
    yield "One server was measured. How several would share the work is not known from it, so no number of servers is given."


def replay_sentences(found: Capacity) -> Iterator[str]:
    """Yield what the replay of the recommendation showed, good or not."""
    if not found.replays:
        yield "The recommendation was not replayed: there was no recommendation, or no time for it."
    for replay in found.replays:
        result = "shown" if replay.as_expected else f"NOT shown ({_SAID[replay.verdict]})"
        yield f"The objective {replay.what}, {rate(replay.rate)} sessions/s: {result}."


def own(limit: RegionLimit) -> Knee:
    """Return a region's limit in its own sessions per second."""
    ends = (limit.knee.low, limit.knee.estimate, limit.knee.high)
    return Knee(*(None if end is None else end * limit.share for end in ends))


def _region(limit: RegionLimit) -> str:
    name = limit.region or "all regions"
    if limit.knee.low is None and limit.knee.high is None:
        return f"  {name}: not found"
    part = "" if limit.region is None else f" ({interval(own(limit))} of its own)"
    return f"  {name}: {interval(limit.knee)} sessions/s{part}"


def weakest_sentence(found: Capacity) -> Iterator[str]:
    """Yield what the whole hides: a region where the objective holds up to a lower rate only."""
    limit = found.weakest
    if limit is not None:
        yield (
            f"Not in every region: in {limit.region} by itself the limit is {interval(limit.knee)} sessions/s of all "
            f"regions; {format_share(limit.share)} of the sessions are its own."
        )


def advice(found: Capacity, made: Made) -> Iterator[str]:
    """Yield what to do where the generator, not the server, ended the search."""
    if found.ceiling is None or found.knee.high is not None:
        return
    spoilt = [probe.signs for probe in found.probes if probe.verdict == "generator"]
    reasons = [reason for signs in spoilt for reason in signs.generator]
    cores = plural(made.cores, "core")
    apart = "give the server a machine of its own (--url)" if made.is_fresh else "use a generator with more cores"
    if reasons and all(POOL_OF in reason for reason in reasons):
        todo = f"hold more users, --users {2 * max(signs.users for signs in spoilt)}"
    elif any((signs.machine_cpu or 0.0) >= MACHINE_SHARE for signs in spoilt):
        todo = f"{apart}; the {cores} of this machine were busy, so more workers would not help"
    elif made.workers >= made.cores:
        todo = f"{apart}; {plural(made.workers, 'worker')} put the load on already, on {cores}"
    else:
        todo = f"put the load on from more processes, --workers {made.workers + 1}{f', or {apart}' if made.is_fresh else ''}"
    yield f"To go higher: {todo}.{f' Seen there: {reasons[0]}.' if reasons else ''}"


def lines(found: Capacity, made: Made) -> Iterator[str]:
    """Yield the answer for a terminal."""
    yield headline(found)
    yield from advice(found, made)
    yield from weakest_sentence(found)
    if not found.is_finished:
        yield "The search was not finished: a larger --max-time narrows the interval."
    if found.sizing:
        yield sizing_sentence(found.sizing)
    if len(found.limits) > 1:
        yield "limit by region, 95 % interval, in sessions/s of all regions:"
        yield from map(_region, found.limits)
    for limit in found.limited_by:
        yield f"limited by {limit.what}: {limit.evidence}"
    yield from replay_sentences(found)
    yield usl_sentence(found)
    yield f"{plural(len(found.probes), 'probe')} in {format_duration(made.took_s)}{_grid(found)}; {little_sentence(found)}"


def _grid(found: Capacity) -> str:
    return "" if found.grid_probes is None else f" (a grid of 5 % steps would take {found.grid_probes})"


def little_sentence(found: Capacity) -> str:
    """Return how many probes keep Little's law."""
    checked = [probe.little.passed for probe in found.probes if probe.little.passed is not None]
    if not checked:
        return "Little's law could not be checked"
    return f"Little's law holds in {sum(checked)} of {len(checked)}"


def usl_sentence(found: Capacity) -> str:
    """Return what the Universal Scalability Law says, or why it is not used."""
    usl = found.usl
    if usl.refusal or not (usl.alpha and usl.beta and usl.peak_n):
        return f"Universal Scalability Law: not identifiable; {usl.refusal}."
    return (
        f"Universal Scalability Law: alpha {usl.alpha.value:.3g} [{usl.alpha.low:.3g}, {usl.alpha.high:.3g}], "
        f"beta {usl.beta.value:.3g} [{usl.beta.low:.3g}, {usl.beta.high:.3g}], peak {rate(usl.peak_x)} sessions/s at N* = "
        f"{usl.peak_n.value:.3g} [{usl.peak_n.low:.3g}, {usl.peak_n.high:.3g}]."
    )
