"""The run store of a run with workers: their rows as they come, side by side in one frame, and what is read off them."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bench.metrics.frame import ArrivalCell, Frame, GeneratorCell, JournalEntry, RetryCell, Taken, TransactionCell
from bench.metrics.histogram import Histogram
from bench.results.rows import frame_rows
from bench.results.store import RunWriter
from bench.stats.merge import SESSION_PREFIX
from bench.stats.validity import Evidence
from bench.team.framebook import Rows


def pack(frame: Frame) -> Rows:
    """Return a frame as rows that travel."""
    return [[table, records] for table, rows in frame_rows(frame) if (records := list(rows))]


@dataclass(slots=True)
class MergedStore:
    """Writes frames of several workers, and adds them to the evidence as they come."""

    writer: RunWriter
    evidence: Evidence
    journalled: Callable[[tuple[JournalEntry, ...]], object]
    """Told of acknowledged orders, for an audit during the run."""

    def write(self, own: Frame, parts: Sequence[Rows]) -> Frame:
        """Store the coordinator's own part and the workers', and return the frame as progress shows it."""
        rows = [(table, records) for part in parts for table, records in part]
        self.writer.write_rows(own.number, own.elapsed_s, own.unix_s, [*frame_rows(own), *rows])
        seen = _seen(own, rows)
        self.evidence.add_frame(replace(seen, generator=None))
        self._take_generators(own.elapsed_s, rows)
        self.journalled(seen.journal)
        return seen

    def write_late(self, number: int, rows: Rows) -> None:
        """Store a worker's part whose frame has been stored without it."""
        found = [(table, records) for table, records in rows]
        self.writer.write_more(number, found)
        elapsed_s = float(number)
        self.evidence.add_arrivals(elapsed_s, _arrivals(found))
        self._take_generators(elapsed_s, found)
        self.journalled(tuple(_journal(found)))

    def _take_generators(self, elapsed_s: float, rows: Iterable[tuple[str, Any]]) -> None:
        for record in _records(rows, "generator"):
            self.evidence.add_generator(elapsed_s, GeneratorCell(*record))


def _seen(own: Frame, rows: list[tuple[str, Any]]) -> Frame:
    return replace(
        own,
        transactions=(*own.transactions, *_transactions(rows)),
        arrivals=(*own.arrivals, *_arrivals(rows)),
        retries=tuple(RetryCell(*record) for record in _records(rows, "retries")),
        journal=tuple(_journal(rows)),
        generator=_together([GeneratorCell(*record) for record in _records(rows, "generator")]),
    )


def _records(rows: Iterable[tuple[str, Any]], wanted: str) -> Iterator[Any]:
    for table, records in rows:
        if table == wanted:
            yield from records


def _transactions(rows: Iterable[tuple[str, Any]]) -> Iterator[TransactionCell]:
    for record in _records(rows, "transactions"):
        labels, response, service = record[:-2], record[-2], record[-1]
        # Unpacking costs more than anything else here, and of transactions only the response times are looked at.
        is_session = labels[2].startswith(SESSION_PREFIX)
        times = Histogram.from_bytes(service) if is_session else Histogram.empty()
        yield TransactionCell(*(*labels, Histogram.from_bytes(response), times))


def _arrivals(rows: Iterable[tuple[str, Any]]) -> tuple[ArrivalCell, ...]:
    return tuple(
        ArrivalCell(*(*record[:-2], *map(Histogram.from_bytes, record[-2:]))) for record in _records(rows, "arrivals")
    )


def _journal(rows: Iterable[tuple[str, Any]]) -> Iterator[JournalEntry]:
    for record in _records(rows, "journal"):
        yield JournalEntry(*(*record[:-1], tuple(Taken(*item) for item in json.loads(record[-1]))))


def _together(cells: list[GeneratorCell]) -> GeneratorCell | None:
    """Return the state of all workers as one, for the line of progress: sums of users, the worst of the rest."""
    if not cells:
        return None
    return GeneratorCell(
        cpu_share=max(cell.cpu_share for cell in cells),
        stall_ms=max(cell.stall_ms for cell in cells),
        gc_ms=max(cell.gc_ms for cell in cells),
        users=sum(cell.users for cell in cells),
        busy=sum(cell.busy for cell in cells),
        queued=sum(cell.queued for cell in cells),
    )
