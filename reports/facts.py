"""What a page is about: one run, read once."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.metrics.frame import Event
from bench.results.manifest import Manifest
from bench.results.read import Run
from bench.results.store import STORE_NAME
from bench.results.summarise import summarise_run
from bench.results.timeline import Timeline, read_timeline
from bench.stats.censoring import Times
from bench.stats.measured import times_of
from bench.stats.merge import is_session
from bench.stats.outages import outage_line
from bench.stats.phases import measured_names
from bench.stats.placement import IndexPlaces, index_places
from bench.stats.records import Group, IntervalRow, Latency, Summary, Which
from bench.stats.served import ServedRow, growth, served_rows
from bench.stats.verdict import Headline, headline

from .drawing import Look
from .model import Cell
from .numbers import interval, latency

_SERVERS = {
    "postgresql": "PostgreSQL",
    "postgres": "PostgreSQL",
    "cockroach": "CockroachDB",
    "cockroachdb": "CockroachDB",
}
WRITTEN = ("report.html", "report.md", "summary.json")
"""The files that ``write`` adds to a run."""


@dataclass(frozen=True, slots=True)
class ServerRow:
    """One counter of the server: its value at the first and the last look, and its growth between them.

    None for a level, which does not grow, and for a counter that was set back meanwhile.
    """

    name: str
    first: float
    last: float
    growth: float | None
    per_s: float | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the sections of a page draw on."""

    manifest: Manifest
    summary: Summary
    headline: Headline
    timeline: Timeline
    tails: dict[str, tuple[Times, Times]]
    events: tuple[Event, ...]
    server: tuple[ServerRow, ...]
    sent: dict[str, int]
    """How often the client sent each statement, over the whole run."""
    refused: dict[str, int]
    """How many attempts ended without a commit in each region, over the whole run."""
    served: tuple[ServedRow, ...]
    """All that the server counted by phase; the summary keeps what a table shows."""
    places: tuple[IndexPlaces, ...]
    """Where leaseholders and rows were at the end; empty where that was not looked at."""
    last_s: float
    folder: Path
    files: tuple[str, ...]
    intervals: dict[tuple[str | None, str | None, str, str], IntervalRow]
    """By region, transaction, clock and figure."""

    @property
    def ended(self) -> int:
        """How many transactions of measured phases ended, in any way."""
        return self.summary.total.count

    def times(self, group: Group, clock: Which, names: Sequence[str]) -> tuple[Cell, ...]:
        """Return figures of a group's response or service time, each with its interval where it has one."""
        times: Latency = getattr(group, clock)
        return tuple(Cell(latency(times, name), "number", self._interval(group, clock, name)) for name in names)

    def _interval(self, group: Group, clock: Which, name: str) -> str:
        row = self.intervals.get((group.region, group.transaction, clock, name))
        return interval(row.low_ms, row.high_ms) if row else ""

    @property
    def look(self) -> Look:
        """How the figures of this page look."""
        known = self.manifest.regions
        seen = [group.region for group in self.summary.regions if group.region and group.region not in known]
        return Look((*known, *seen), self.summary.distance_ms)

    @property
    def server_name(self) -> str:
        """The server's kind and version, named once."""
        target = self.manifest.target
        name = _SERVERS.get(target.dialect, target.dialect)
        return target.server_version if not target.server_version[:1].isdigit() else f"{name} {target.server_version}"

    @property
    def started(self) -> str:
        """When the run was made, for people."""
        return re.sub(r"(\.\d+)?(Z|\+00:00)$", " UTC", self.manifest.created_utc.replace("T", " ", 1))

    @property
    def distances(self) -> str:
        """The emulated distances in words; empty without any."""
        return ", ".join(f"{region} {ms:.3g} ms" for region, ms in self.summary.distance_ms.items() if ms > 0)

    @property
    def distance_note(self) -> str:
        """What goes with every table of regions with an emulated distance; empty without one."""
        return "Times include the emulated distance." if self.distances else ""


def gather(run: Run) -> Facts:
    """Read from a run what its page shows."""
    summary = summarise_run(run)
    return Facts(
        manifest=run.manifest,
        summary=summary,
        headline=headline(summary),
        timeline=read_timeline(run),
        tails=_tails(run),
        events=(*run.events, *_outage_marks(summary)),
        server=_server(run),
        sent=_sent(run),
        refused=_refused(run),
        served=served_rows(run.counters, [phase.name for phase in run.manifest.phases]),
        places=index_places(run.counters),
        last_s=run.last_s,
        folder=run.path,
        files=_files(run.path),
        intervals={(row.region, row.transaction, row.time, row.figure): row for row in summary.intervals},
    )


def _outage_marks(summary: Summary) -> Iterator[Event]:
    """Yield the outages as marks on the timeline."""
    regions = summary.region_names
    for each in summary.outages:
        where = None if set(each.regions) >= set(regions) else ", ".join(each.regions)
        yield Event(each.began_s, "outage", outage_line(each, regions), where)


def _tails(run: Run) -> dict[str, tuple[Times, Times]]:
    names = measured_names(run.manifest.phases)
    cells = [c for c in run.cells if c.phase in names and not is_session(c.name)]
    regions = sorted({cell.region for cell in cells})
    by_region = {region: [cell for cell in cells if cell.region == region] for region in regions}
    return {region: (times_of(mine, "response"), times_of(mine, "service")) for region, mine in by_region.items()}


def _sent(run: Run) -> dict[str, int]:
    sent: dict[str, int] = {}
    for cell in run.statements:
        sent[cell.statement] = sent.get(cell.statement, 0) + cell.count
    return sent


def _refused(run: Run) -> dict[str, int]:
    refused = dict.fromkeys(run.manifest.regions, 0)
    for cell in run.retries:
        refused[cell.region] = refused.get(cell.region, 0) + cell.count
    return refused


def _server(run: Run) -> tuple[ServerRow, ...]:
    rows = []
    for name, points in run.server.items():
        (start_s, first), (end_s, last) = points[0], points[-1]
        grown = growth(name, [value for _, value in points])
        per_s = grown / (end_s - start_s) if grown is not None and end_s > start_s else None
        rows.append(ServerRow(name, first, last, grown, per_s))
    return tuple(rows)


def _files(folder: Path) -> tuple[str, ...]:
    found = {path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith(".")}
    return tuple(sorted({*found, *WRITTEN} - {f"{STORE_NAME}-wal", f"{STORE_NAME}-shm"}))
