"""The search for capacity from probe to probe, within a budget of time, and the replay of its answer."""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.cli.probing import Prober, Ran
from bench.errors import UsageError
from bench.results.probe import (
    Window,
    busiest_node,
    count_orders,
    generators_faults,
    read_answers,
    read_little,
    read_work,
    window,
)
from bench.results.read import Run
from bench.results.summarise import summarise_run
from bench.stats.capacity import (
    SHORTFALL,
    Probe,
    ProbeVerdict,
    Purpose,
    RegionResult,
    spoilt_from,
    trials,
)
from bench.stats.knee import Knee, Trial, find_knee
from bench.stats.limits import Signs
from bench.stats.merge import is_session
from bench.stats.probing import Objective, judge_counts
from bench.stats.search import Search, next_rate

MOST_PROBES = 24
REPLAY_FACTOR = 2
"""A replay is measured for so much longer than a probe of the search at most: near the limit little is clear soon."""
_OPENING_S = 5.0
"""About what a run takes before its load where server and data are there already."""


@dataclass(slots=True)
class Hunt:
    """One search; ``probes`` are those so far, whatever happens.  ``tell`` is called with a line for each."""

    prober: Prober
    search: Search
    objective: Objective
    max_time_s: float
    tell: Callable[[str], None]
    probes: list[Probe] = field(default_factory=list)
    is_finished: bool = False
    wrong_data: list[str] = field(default_factory=list)
    _prepared_s: list[float] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    @property
    def took_s(self) -> float:
        """Seconds since the search began."""
        return time.monotonic() - self._began

    @property
    def knee(self) -> Knee:
        """What the probes of the search give together."""
        return find_knee(self._trials(), self.objective.over_share)

    def seek(self) -> None:
        """Probe until the search is done or the time is up; the replays have a part of the time of their own."""
        while len(self.probes) < MOST_PROBES:
            rate = self._next()
            if rate is None:
                self.is_finished = True
                return
            # Once there is something to replay, its two probes have a part of the time.
            owed = 1 if math.isinf(self.knee.width) else 3
            if self.took_s + self._expected_s() * owed > self.max_time_s and self.probes:
                return
            self._probe("search", rate)

    def replay(self) -> None:
        """Probe at the recommendation and so much above it that it should break, where there is time for it."""
        recommended, ceiling = self.knee.low, spoilt_from(self.probes)
        if recommended is None:
            return
        for rate in (recommended, recommended * (1 + SHORTFALL)):
            if (ceiling and rate >= ceiling) or self.took_s + self._expected_s() > self.max_time_s:
                return
            self._probe("replay", rate)

    def _next(self) -> float | None:
        last = self.probes[-1] if self.probes else None
        if last and last.verdict == "generator" and sum(p.rate == last.rate for p in self.probes) == 1:
            # Once more: another program may have been in the way.
            return last.rate
        return next_rate(self.search, self._trials(), spoilt_from(self.probes))

    def _trials(self) -> list[Trial]:
        return trials(self.probes, self.objective.region)

    def _expected_s(self) -> float:
        """Return how long a probe takes: as those so far, but only the first waits for a server and its data."""
        if not self.probes:
            return self.prober.bench.warm_up_s + self.prober.bench.longest_s
        first, *later = self._prepared_s
        once = first - min([first, *(later or [_OPENING_S])])
        return (self.took_s - once) / len(self.probes)

    def _probe(self, purpose: Purpose, rate: float) -> None:
        longest = self.prober.bench.longest_s * (REPLAY_FACTOR if purpose == "replay" else 1)
        if self.probes:
            # Whole seconds: the last probe may not run over the time by more than what a run needs beside the load.
            left = int(self.max_time_s - self.took_s - self.prober.bench.warm_up_s)
            longest = max(min(longest, left), min(longest, 5))
        ran = self.prober.run(rate, longest)
        self._prepared_s.append(ran.prepared_s)
        self.probes.append(self._read(purpose, rate, ran))
        self.tell(self._line(self.probes[-1]))

    def _read(self, purpose: Purpose, rate: float, ran: Ran) -> Probe:
        with Run.open(ran.path) as run:
            part = window(run)
            self._require_requests(run)
            places = (None, *run.manifest.regions) if len(run.manifest.regions) > 1 else (None,)
            rows = tuple(self._region(run, part, rate, place, ran.looked) for place in places)
            summary = summarise_run(run)
            validity, work, (orders, sessions) = summary.validity, read_work(run, part), count_orders(run)
            counts = read_answers(run, part, self.objective).counts
            little = read_little(run)
            node = busiest_node(run, part)
            faults = generators_faults(run, part, self.objective, ran.looked, validity.reasons)
            self.wrong_data += [ran.path.name] if summary.broken or summary.oversold else []
        judged = next(row for row in rows if row.region == self.objective.region)
        seconds = part.seconds or None
        return Probe(
            number=self.prober.made,
            purpose=purpose,
            run_id=ran.path.name,
            rate=rate,
            verdict=_verdict(judged, validity.verdict, faults),
            seconds=part.seconds,
            offered_per_s=counts.offered / seconds if seconds else None,
            answered_per_s=counts.answered / seconds if seconds else None,
            concurrency=_busy(counts.answered, seconds, work.service_ms),
            orders=orders,
            sessions=sessions,
            validity=validity.verdict,
            little=little,
            signs=Signs(
                generator=faults,
                server_cpu=ran.server_cpu,
                node=node,
                machine_cpu=ran.machine_cpu,
                cores=os.cpu_count() or 1,
                full_share=work.full_share,
                users=work.users,
                waits=work.waits,
                wasted_share=work.wasted_share,
                service_ms=work.service_ms,
            ),
            regions=rows,
            ended_early=ran.ended_early,
        )

    def _require_requests(self, run: Run) -> None:
        wanted, names = self.objective.transaction, sorted({c.name for c in run.cells if not is_session(c.name)})
        if wanted and names and wanted not in names:
            raise UsageError(f"no transaction '{wanted}' in '{run.path}'", hint=f"it has {', '.join(names)}")

    def _region(self, run: Run, part: Window, rate: float, region: str | None, looked: int) -> RegionResult:
        answers = read_answers(run, part, self.objective, region)
        judged = judge_counts(answers.counts, self.objective, looked)
        return RegionResult(
            region,
            judged.verdict,
            judged.reason,
            judged.share,
            answers.p50_ms,
            answers.p99_ms,
            answers.goodput_per_s,
            judged.trial(rate, answers.counts),
        )

    def _line(self, probe: Probe) -> str:
        share, knee = probe.of(self.objective.region).share, self.knee
        over = "–" if share is None else f"{100 * share:.2g} %"
        interval = f"{_rate(knee.low)} to {_rate(knee.high)}"
        return (
            f"{probe.purpose} {probe.number:>2}  {probe.rate:8.4g}/s  {probe.verdict:<9} {over:>7} over the limit"
            f"  {probe.seconds:>3} s measured  limit {interval}  {self.took_s:4.0f} s"
        )


def _busy(answered: int, seconds: int | None, service_ms: float | None) -> float | None:
    """Return the users at work on average by Little's law: looking once a second would be far less exact."""
    return answered / seconds * service_ms / 1000 if seconds and service_ms is not None else None


def _verdict(judged: RegionResult, validity: str, faults: tuple[str, ...]) -> ProbeVerdict:
    """Return what a probe says of the server: nothing where the generator was not fit, unless it held all the same."""
    if faults and (validity == "INVALID" or judged.verdict == "broke"):
        return "generator"
    return judged.verdict


def _rate(value: float | None) -> str:
    return "?" if value is None else f"{value:.4g}/s"
