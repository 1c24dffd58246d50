"""A simulated server of known capacity: Poisson arrivals, ``servers`` workers, every service as long as the last (M/D/c).

With equal services those who come first leave first, so arrival n begins when arrival n - c has left: each c-th arrival is a
queue of one worker of its own (Lindley's recursion), and the whole is a running maximum.
"""

from dataclasses import dataclass

import numpy as np

from bench.stats.knee import Trial
from bench.stats.probing import Counts, Objective, judge_counts, looks
from bench.stats.search import Search, next_rate

MOST = 20
"""Probes of a search: the user's budget."""


def departures(arrivals: np.ndarray, servers: int, service_s: float) -> np.ndarray:
    left = np.empty_like(arrivals)
    for worker in range(servers):
        mine = arrivals[worker::servers]
        turn = np.arange(len(mine)) * service_s
        left[worker::servers] = np.maximum.accumulate(mine - turn) + turn + service_s
    return left


@dataclass(frozen=True)
class Server:
    servers: int
    service_s: float
    limit_s: float

    @property
    def objective(self) -> Objective:
        return Objective(self.limit_s * 1000)

    def responses(self, rng: np.random.Generator, rate: float, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        count = int(rng.poisson(rate * seconds))
        arrivals = np.sort(rng.random(count) * seconds)
        left = departures(arrivals, self.servers, self.service_s)
        return arrivals, left

    def share_over(self, rate: float, arrivals: int = 1_000_000) -> float:
        """The share over the limit in a long run."""
        rng = np.random.default_rng(7)
        came, left = self.responses(rng, rate, arrivals / rate)
        settled = len(came) // 50
        return float((left - came > self.limit_s)[settled:].mean())

    def true_limit(self) -> float:
        """The rate at which exactly a hundredth is over the limit, by bisection on long runs with the same arrivals."""
        low, high = 0.05 * self.servers / self.service_s, self.servers / self.service_s
        for _ in range(16):
            middle = (low + high) / 2
            low, high = (middle, high) if self.share_over(middle) < 0.01 else (low, middle)
        return (low + high) / 2

    def probe(self, rng: np.random.Generator, rate: float, warm_up_s: int, longest_s: int) -> tuple[Trial, int]:
        """One probe, ended as soon as it is clear, and its measured seconds."""
        came, left = self.responses(rng, rate, warm_up_s + longest_s)
        at = looks(longest_s)
        for seconds in at:
            counts = self.counts(came, left, warm_up_s, seconds)
            judged = judge_counts(counts, self.objective, len(at))
            if judged.verdict != "unclear":
                break
        return judged.trial(rate, counts), seconds

    def counts(self, came: np.ndarray, left: np.ndarray, warm_up_s: int, seconds: int) -> Counts:
        """What a probe of so many seconds has seen of requests that have been answered by its end."""
        end = warm_up_s + seconds
        seen = (came >= warm_up_s) & (left < end)
        took = (left - came)[seen]
        bins = np.arange(warm_up_s, end + 1)

        def by_second(chosen: np.ndarray) -> np.ndarray:
            return np.histogram(left[seen][chosen], bins)[0]

        slow = max(np.quantile(took, 0.9), self.limit_s / 2) if took.size else 0.0
        within = (left >= warm_up_s) & (left < end)
        return Counts(
            by_second(took >= 0), by_second(took > self.limit_s), by_second(took > slow),
            offered=int(((came >= warm_up_s) & (came < end)).sum()),
            answered=int(within.sum()),
            before=int(((came < warm_up_s) & (left >= warm_up_s)).sum()),
            after=int(((came < end) & (left >= end)).sum()),
        )  # fmt: skip


def search(server: Server, plan: Search, seed: int, warm_up_s: int, longest_s: int) -> list[Trial]:
    rng = np.random.default_rng(seed)
    trials: list[Trial] = []
    while len(trials) < MOST and (rate := next_rate(plan, trials)) is not None:
        trials.append(server.probe(rng, rate, warm_up_s, longest_s)[0])
    return trials
