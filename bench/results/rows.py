"""A frame as rows of the store: what the writer inserts, and what a worker process sends to it.

Values are numbers, text, None and packed histograms, so rows travel between processes as they are.
"""

import json
from collections.abc import Iterable, Iterator

from bench.metrics.frame import Check, Contender, Counter, Disconnect, Frame, JournalEntry, SlowSample

Row = tuple[object, ...]
TableRows = tuple[str, Iterable[Row]]


def frame_rows(frame: Frame) -> Iterator[TableRows]:
    """Yield (table, its rows without the frame's number) for everything that a frame holds."""
    yield from _cell_rows(frame)
    if frame.generator is not None:
        g = frame.generator
        yield "generator", [(g.cpu_share, g.stall_ms, g.gc_ms, g.users, g.busy, g.queued, g.worker, g.starved_ms)]
    yield "server", frame.server.items()
    yield "journal", map(_order_row, frame.journal)
    yield "events", ((e.elapsed_s, e.kind, e.detail, e.region) for e in frame.events)
    yield "slow", map(_slow_row, frame.slow)
    yield "contenders", map(_plain_row, frame.contenders)
    yield "counters", map(_plain_row, frame.counters)
    yield "checks", map(_plain_row, frame.checks)
    yield "disconnects", map(_plain_row, frame.disconnects)


def _cell_rows(frame: Frame) -> Iterator[TableRows]:
    yield (
        "transactions",
        (
            (
                c.phase,
                c.region,
                c.name,
                c.outcome,
                c.kind,
                c.count,
                c.attempts,
                c.response.to_bytes(),
                c.service.to_bytes(),
            )
            for c in frame.transactions
        ),
    )
    yield (
        "statements",
        (
            (c.phase, c.region, c.transaction, c.statement, c.count, c.errors, c.time.to_bytes())
            for c in frame.statements
        ),
    )
    yield (
        "retries",
        ((c.phase, c.region, c.transaction, c.statement, c.reason, c.key, c.count, c.wasted_ns) for c in frame.retries),
    )
    yield (
        "arrivals",
        (
            (c.phase, c.region, c.session, c.offered, c.started, c.dropped, c.lag.to_bytes(), c.dispatch.to_bytes())
            for c in frame.arrivals
        ),
    )


def _order_row(entry: JournalEntry) -> Row:
    *plain, taken = entry
    return (*plain, json.dumps(taken))


def _slow_row(sample: SlowSample) -> Row:
    s = sample
    times = (s.response_ms, s.service_ms, s.attempts, json.dumps(s.statements))
    parts = (s.dispatch_ms, s.wait_ms, s.backoff_ms, json.dumps(s.reasons), s.key)
    return (s.elapsed_s, s.phase, s.region, s.transaction, s.outcome, *times, *parts)


def _plain_row(record: Contender | Counter | Check | Disconnect) -> Row:
    return tuple(getattr(record, name) for name in record.__slots__)
