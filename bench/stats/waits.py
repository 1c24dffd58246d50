"""Two witnesses of the verdict: the clock of the frames, and the wait for a free user.  Pure; of constant size.

An arrival that waits for a free user is late, and two very different things make it wait.  Where the server is slow, sessions
take long and no user comes back: that wait is the target's, and a real shop would have felt it.  Where the pool is too small
for the rate and for how long a session takes anyway, the wait is ours: the server could have done more and was not asked to.
The two are told apart by how long the sessions took: those that ended while arrivals waited against those, of the same kind
and region, that ended while none did.  As fast as ever, and yet they waited: the pool was too small.  Slower: the server was.
Where nothing of a region ever ended without a queue there is nothing to compare with, and nobody is blamed.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bench.metrics.frame import ArrivalCell, TransactionCell
from bench.metrics.histogram import Histogram
from bench.stats.merge import SESSION_PREFIX, Pool
from bench.units import format_ms

POOL_WAIT_MS = 50.0
"""A second whose median arrival waited as long for a user has a queue; one below a tenth of it has none."""
POOL_FAST_RATIO = 1.25
"""Sessions up to a quarter slower than without a queue are as fast as ever."""
POOL_OF = "the pool of users of"
"""How the sentence about a pool begins."""
_LEAST_SESSIONS = 30


@dataclass(slots=True)
class FrameClock:
    """Frames that are missing, and steps of the wall clock against the one that never steps."""

    missing: int = 0
    expected: int = 0
    step_ms: float = 0.0
    step_at_s: float | None = None
    _last: tuple[int, float, float] | None = None

    def add(self, number: int, elapsed_s: float, unix_s: float) -> None:
        """Add when one frame ended by either clock; a time of day of 0 is none."""
        self.expected += 1
        if self._last is not None:
            before, elapsed_before, unix_before = self._last
            lost = max(0, number - before - 1)
            self.missing += lost
            self.expected += lost
            step = abs((unix_s - unix_before) - (elapsed_s - elapsed_before)) * 1000 if unix_s and unix_before else 0.0
            if step > self.step_ms:
                self.step_ms, self.step_at_s = step, elapsed_s
        self._last = number, elapsed_s, unix_s


@dataclass(slots=True)
class _Region:
    waited: Pool = field(default_factory=Pool)
    queued: defaultdict[str, Pool] = field(default_factory=lambda: defaultdict(Pool))
    free: defaultdict[str, Pool] = field(default_factory=lambda: defaultdict(Pool))


@dataclass(slots=True)
class PoolWaits:
    """Service times of sessions by region and name, of seconds with and without arrivals waiting for a user."""

    regions: defaultdict[str, _Region] = field(default_factory=lambda: defaultdict(_Region))

    def add(
        self, arrivals: Iterable[ArrivalCell], transactions: Iterable[TransactionCell], measured: frozenset[str]
    ) -> None:
        """Add one frame; with ``measured`` only sessions of these phases."""
        lags: defaultdict[str, list[Histogram]] = defaultdict(list)
        for cell in arrivals:
            if not measured or cell.phase in measured:
                lags[cell.region].append(cell.lag)
        waits = {region: Histogram.merge(parts) for region, parts in lags.items()}
        for session in transactions:
            wait = waits.get(session.region)
            is_counted = session.name.startswith(SESSION_PREFIX) and session.kind != "failure"
            if wait is not None and is_counted and (not measured or session.phase in measured):
                self._place(session, wait)

    def _place(self, session: TransactionCell, wait: Histogram) -> None:
        median_ms = wait.percentile_ms(50) or 0.0
        region = self.regions[session.region]
        if median_ms > POOL_WAIT_MS:
            region.waited.add(wait)
            region.queued[session.name].add(session.service)
        elif median_ms < POOL_WAIT_MS / 10:
            region.free[session.name].add(session.service)

    def faults(self) -> Iterator[str]:
        """Yield a sentence for each region whose pool of users was too small for a server that was fast."""
        for name, region in sorted(self.regions.items()):
            ratios = [*_ratios(region)]
            if ratios and max(ratios) <= POOL_FAST_RATIO:
                waited = format_ms(region.waited.histogram().percentile_ms(50))
                yield (
                    f"{POOL_OF} {name} was too small: arrivals waited {waited} (median) for a free user while "
                    "sessions took no longer than without a queue"
                )


def _ratios(region: _Region) -> Iterator[float]:
    for name, pool in region.queued.items():
        queued, free = pool.histogram(), region.free[name].histogram()
        if min(queued.count, free.count) >= _LEAST_SESSIONS:
            yield (queued.percentile_ns(50) or 0.0) / max(1.0, free.percentile_ns(50) or 0.0)
