"""Runs of known content, written through the real ``RunWriter``: a flash sale in four regions, raw samples kept."""

import math
import sqlite3
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from bench.metrics.frame import (
    ArrivalCell,
    Check,
    Contender,
    Counter,
    Event,
    Frame,
    GeneratorCell,
    JournalEntry,
    RetryCell,
    SlowSample,
    StatementCell,
    Taken,
    TransactionCell,
)
from bench.metrics.histogram import Histogram
from bench.metrics.outcome import Finding, StockRow
from bench.results.manifest import Manifest
from bench.results.store import RunWriter
from bench.stats.validity import Evidence, judge

REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")
DISTANCE_MS = {"us-east": 0.0, "us-west": 62.0, "eu-west": 78.0, "asia-pac": 182.0}
PHASES = (("warm-up", 0, 5, False), ("ramp", 5, 5, True), ("spike", 10, 15, True), ("after", 25, 5, True))
LAST = 30
T0_S = 10.0


def manifest(run_id="20260301-101500-flash-sale", **changes) -> Manifest:
    fields = {
        "run_id": run_id,
        "bench_version": "0.1.0",
        "created_utc": "2026-03-01T10:15:00Z",
        "command": "bench run flash-sale",
        "scenario": {
            "name": "flash-sale",
            "question": "Does the sale sell exactly what it has?",
            "t0_s": T0_S,
            "phases": [{"name": n, "start_s": s, "duration_s": d, "measured": m} for n, s, d, m in PHASES],
        },
        "seed": 42,
        "regions": REGIONS,
        "target": {
            "kind": "embedded",
            "dialect": "postgresql",
            "server_version": "PostgreSQL 18.1",
            "safe_url": "postgresql://shop:topsecret@127.0.0.1:5432/shop",
            "variant": "pg",
            "isolation": "SERIALIZABLE",
            "settings": {"shared_buffers": "512MB", "synchronous_commit": "on"},
            "gateways": dict.fromkeys(REGIONS, "127.0.0.1:5432"),
        },
        "distance_ms": DISTANCE_MS,
        "schema_fingerprint": "5f2d9c",
        "data": {"scale": "small", "seed": 7, "fingerprint": "a1b2c3", "rows": {"products": 10_000, "users": 50_000}},
        "machine": {
            "os": "Linux",
            "python": "3.11.7",
            "cpus": 8,
            "cpu_model": "Example",
            "memory_bytes": 32_000_000_000,
        },
        "versions": {"locust": "2.47.0", "psycopg": "3.3.9"},
        "git": {"commit": "0123456789abcdef", "dirty": False},
        "workload": "bench.workloads.flash_sale:FlashSaleUser",
        "strategy": "guarded",
        "hot_sessions": ("buy",),
        "planned": [
            {
                "phase": name,
                "session": "buy",
                "region": region,
                "expected": 40 * (3 if name == "spike" else 1) * duration,
            }
            for name, _, duration, _ in PHASES
            for region in REGIONS
        ],
    }
    return Manifest.model_validate(fields | changes)


def phase_at(second: int) -> str:
    return next(name for name, start, duration, _ in PHASES if start <= second < start + duration)


@dataclass
class Raw:
    """Every sample as recorded, by (phase, region, name, outcome): what the store must give back."""

    response: defaultdict = field(default_factory=lambda: defaultdict(list))
    service: defaultdict = field(default_factory=lambda: defaultdict(list))
    attempts: defaultdict = field(default_factory=lambda: defaultdict(int))
    offered: defaultdict = field(default_factory=lambda: defaultdict(int))
    aborts: defaultdict = field(default_factory=lambda: defaultdict(int))


class Maker:
    """Makes the frames of a sale, one after another, and keeps the raw samples."""

    def __init__(self, seed=1, rate=40, dropped=0, stall_ms=12.0):
        self.rng = np.random.default_rng(seed)
        self.raw = Raw()
        self.rate, self.dropped, self.stall_ms = rate, dropped, stall_ms
        self.orders = 0
        self.pending = defaultdict(int)

    def frame(self, second: int) -> Frame:
        phase = phase_at(second)
        busy = 3 if phase == "spike" else 1
        cells = [cell for region in REGIONS for cell in self._transactions(phase, region, busy)]
        return Frame(
            number=second,
            elapsed_s=second + 1.0,
            unix_s=1_772_360_100.0 + second,
            transactions=tuple(cells),
            statements=tuple(c for region in REGIONS for c in self._statements(phase, region, busy)),
            retries=tuple(self._retries(phase)),
            arrivals=tuple(self._arrivals(phase, region, busy) for region in REGIONS),
            generator=GeneratorCell(0.2 * busy, self.stall_ms, 1.5, 200, 60 * busy, 4 * busy),
            server={"xact_commit": 1000.0 + 160 * second, "deadlocks": 0.0, "blks_read": 50.0 + second},
            journal=tuple(self._order(region, second) for region in REGIONS),
            events=self._events(second),
            slow=(self._slow(phase, second),),
            contenders=tuple(self._contenders(phase, second)),
            counters=tuple(self._counters(second)),
            checks=self._checks(second),
        )

    def _contenders(self, phase, second):
        """Five buyers a second and region; the farther away, the fewer are served."""
        if phase == "spike":
            for place, region in enumerate(REGIONS):
                for number in range(5):
                    outcome = "ok" if number >= place else "sold_out"
                    yield Contender(region, "SKU-1", second + number / 5, second + 1.0, outcome, 1 + number)

    def _counters(self, second):
        ends = {start + duration - 1: name for name, start, duration, _ in PHASES}
        if second == 0 or second in ends:
            moment, at = ("start", 0.0) if second == 0 else (ends[second], second + 1.0)
            for metric, value in (
                ("calls", 100 + 10 * second),
                ("exec_ms", 1000 + 25.0 * second),
                ("rows", 5 * second),
            ):
                yield Counter(moment, at, "", "statement", "reserve_stock", metric, float(value))
            yield Counter(moment, at, "", "index", "inventory_pkey", "scans", 7.0 * second)
            yield Counter(moment, at, "", "database", "shop", "deadlocks", float(second // 10))

    def _checks(self, second):
        return (Check(second + 0.5, 12.5, "oversold", second != 20, int(second == 20), ""),) if second % 10 == 0 else ()

    def _samples(self, region, median_ms, n):
        distance = DISTANCE_MS[region]
        service = (self.rng.lognormal(np.log(median_ms), 0.5, n) + 2 * distance) * 1e6
        lag = self.rng.exponential(0.8, n) * 1e6
        return (service + lag).astype(np.int64), service.astype(np.int64)

    def _transactions(self, phase, region, busy):
        plan = [
            ("browse", "ok", "ok", 4.0, 2 * self.rate * busy),
            ("checkout", "ok", "ok", 9.0 * busy, self.rate),
            ("session:buy", "ok", "ok", 20.0 * busy, self.rate * busy - (2 if phase == "spike" else 0)),
        ]
        if phase == "spike":
            plan += [
                ("checkout", "sold out", "business", 6.0, self.rate * (busy - 1)),
                ("checkout", "retries exhausted", "failure", 90.0, 2),
                ("session:buy", "checkout failed", "failure", 90.0, 2),
            ]
        for name, outcome, kind, median_ms, n in plan:
            response, service = self._samples(region, median_ms, n)
            aborted = self._abort(phase, region, outcome, n) if name == "checkout" and phase == "spike" else 0
            attempts = n + aborted - (n if outcome == "retries exhausted" else 0)
            key = (phase, region, name, outcome)
            self.raw.response[key] += response.tolist()
            self.raw.service[key] += service.tolist()
            self.raw.attempts[key] += attempts
            yield TransactionCell(
                phase, region, name, outcome, kind, n, attempts, Histogram.of(response), Histogram.of(service)
            )

    def _abort(self, phase, region, outcome, n):
        """Abort some attempts: of failures three each, all in vain; of the others one or another."""
        count = 3 * n if outcome == "retries exhausted" else int(self.rng.integers(0, 9))
        reason = "serialization_failure" if self.rng.random() < 0.8 else "deadlock_detected"
        self.raw.aborts[phase, region, reason] += count
        self.pending[region, reason] += count
        return count

    def _statements(self, phase, region, busy):
        plan = (
            ("browse", "search_products", 2.0),
            ("checkout", "reserve_stock", 3.0 * busy),
            ("checkout", "COMMIT", 2.5),
        )
        for transaction, statement, median_ms in plan:
            n = self.rate * busy
            _, time = self._samples(region, median_ms, n)
            yield StatementCell(
                phase, region, transaction, statement, n, int(statement == "COMMIT"), Histogram.of(time)
            )

    def _retries(self, phase):
        pending, self.pending = self.pending, defaultdict(int)
        for (region, reason), count in pending.items():
            yield RetryCell(phase, region, "checkout", "COMMIT", reason, "", count, count * 21_000_000)

    def _arrivals(self, phase, region, busy):
        offered = self.rate * busy
        self.raw.offered[phase, region] += offered
        started = offered - self.dropped
        lag = (self.rng.exponential(0.8, started) * 1e6).astype(np.int64)
        return ArrivalCell(
            phase, region, "buy", offered, started, self.dropped, Histogram.of(lag), Histogram.of(lag // 4)
        )

    def _order(self, region, second):
        self.orders += 1
        taken = (Taken("p-1", "v-1", region, 1), Taken("p-2", None, "us-east", 2))
        status = "cancelled" if second % 10 == 9 else "paid"
        return JournalEntry(
            region, f"o-{self.orders}", f"N{self.orders}", f"k-{self.orders}", "19.90", status, 1, second + 0.5, taken
        )

    def _events(self, second):
        if second == T0_S:
            return (Event(float(second), "sale_opens", "spike"),)
        return ()

    def _slow(self, phase, second):
        statements = (("reserve_stock", 120.0 + second), ("COMMIT", 33.5))
        times = {"dispatch_ms": 1.0, "wait_ms": 9.0 + second, "backoff_ms": 20.0}
        sample = SlowSample(second + 0.9, phase, "asia-pac", "checkout", "ok", 400.0 + second, 390.0, 3, statements)
        return replace(sample, **times, reasons=("serialization_failure",) * 2, key="SKU-1")


def survival_percentile(answered, censored, percent):
    """The percentile of Kaplan and Meier, one sample after another; where it is never reached, the nearest rank of all."""
    order = sorted([(value, 0) for value in answered] + [(value, 1) for value in censored])
    waiting = 1.0
    for place, (value, is_censored) in enumerate(order):
        waiting *= 1.0 if is_censored else 1 - 1 / (len(order) - place)
        if not is_censored and waiting <= 1 - percent / 100 + 1e-9:
            return value
    return order[max(1, math.ceil(percent / 100 * len(order))) - 1][0]


STOCK = (
    StockRow("Trail shoe <blue>", "p-1", "us-east", 500, 500, 0, 0, 4.25),
    StockRow("Trail shoe <blue>", "p-1", "us-west", 500, 500, 0, 0, 6.5),
    StockRow("Trail shoe <blue>", "p-1", "eu-west", 500, 430, 0, 70, None),
    StockRow("Trail shoe <blue>", "p-1", "asia-pac", 500, 310, 0, 190, None),
)
PASSED = Finding("stock_adds_up", "units sold, left and reserved add up to those stocked", True, 0)
BROKEN = Finding(
    "no_oversell",
    "no item is sold beyond its stock",
    False,
    3,
    ({"product_id": "p-1", "region": "us-east", "sold": "503", "offered": "500"},),
    "SELECT product_id, sum(units) FROM reservations WHERE product_id = 'p-1' GROUP BY 1",
    "three orders share the last unit",
)


def write_run(path: Path, *, last=LAST, status="complete", findings=(PASSED,), stock=STOCK, **maker_options) -> Raw:
    """Write a run of ``last`` seconds; ``status=None`` leaves it unfinished, as a killed writer does."""
    maker = Maker(**maker_options)
    evidence = Evidence(manifest().phases)
    with RunWriter(path) as writer:
        writer.write_manifest(manifest())
        for second in range(last):
            frame = maker.frame(second)
            evidence.add_frame(frame)
            writer.write_frame(frame)
        if stock:
            writer.write_stock(stock)
        if findings:
            writer.write_findings(findings)
        if status:
            writer.finish(status, "", judge(evidence))
    return maker.raw


def write_empty(path: Path, status=None) -> None:
    """Write a run whose writer died before its first frame."""
    with RunWriter(path) as writer:
        writer.write_manifest(manifest())
        if status:
            writer.finish(status, "no server", None)


def write_tiny(path: Path) -> None:
    """Write a run of two seconds whose every number can be worked out by hand and depends on no random stream."""
    ms = 1_000_000

    def times(*values):
        return Histogram.of(np.array(values, np.int64) * ms)

    phases = [{"name": "steady", "start_s": 0, "duration_s": 2, "measured": True}]
    fields = {"regions": ("us-east", "eu-west"), "distance_ms": {"us-east": 0.0, "eu-west": 80.0}}
    target = manifest().target.model_dump() | {"gateways": {}, "settings": {"search_path": "shop|public"}}
    scenario = {"name": "tiny_sale", "question": "Is 1 < 2 | 3?", "t0_s": 0.0, "phases": phases}
    cells = (
        TransactionCell("steady", "us-east", "checkout", "ok", "ok", 4, 6, times(10, 20, 30, 40), times(9, 19, 29, 39)),
        TransactionCell("steady", "us-east", "checkout", "sold out", "business", 1, 1, times(5), times(5)),
        TransactionCell("steady", "eu-west", "checkout", "ok", "ok", 2, 2, times(170, 180), times(168, 178)),
        TransactionCell("steady", "eu-west", "session:buy", "ok", "ok", 2, 2, times(190, 200), times(188, 198)),
    )
    frames = (
        Frame(
            1, 1.0, 1000.0, cells,
            statements=(StatementCell("steady", "us-east", "checkout", "COMMIT", 5, 2, times(1, 2, 3, 4, 5)),),
            retries=(RetryCell("steady", "us-east", "checkout", "COMMIT", "serialization_failure", "", 2, 30 * ms),),
            arrivals=(ArrivalCell("steady", "eu-west", "buy", 2, 2, 0, times(1, 2), times(0, 1)),),
            generator=GeneratorCell(0.25, 8.0, 1.0, 10, 2, 0),
            server={"xact_commit": 10.0},
            events=(Event(0.0, "sale_opens", "steady"),),
        ),
        Frame(2, 2.0, 1001.0, generator=GeneratorCell(0.2, 4.0, 0.0, 10, 0, 0), server={"xact_commit": 16.0}),
    )  # fmt: skip
    with RunWriter(path) as writer:
        writer.write_manifest(manifest(run_id="tiny", scenario=scenario, target=target, **fields))
        for frame in frames:
            writer.write_frame(frame)
        writer.write_stock([StockRow("Mug|blue", "p-9", "us-east", 4, 5, 1, 0, 0.75)])
        writer.write_findings([BROKEN, PASSED])
        writer.finish("complete", "", judge(Evidence()))


def as_format_2(store):
    """Turn a store of today into one of format 2, which had no sums."""
    db = sqlite3.connect(store)
    db.execute("DROP TABLE statement_sums")
    db.execute("UPDATE meta SET value = '2' WHERE key = 'format_version'")
    db.commit()
    db.close()


def as_format_1(store):
    """Turn a store of today into one of format 1, as the first release wrote them."""
    as_format_2(store)
    db = sqlite3.connect(store)
    for table, columns in {
        "retries": ["key"],
        "slow": ["dispatch_ms", "wait_ms", "backoff_ms", "reasons", "key"],
        "stock": ["sku"],
    }.items():
        for column in columns:
            db.execute(f"ALTER TABLE {table} DROP COLUMN {column}")
    db.execute("CREATE TABLE old AS SELECT frame, cpu_share, stall_ms, gc_ms, users, busy, queued FROM generator")
    for table in ("contenders", "counters", "checks", "workers", "generator"):
        db.execute(f"DROP TABLE {table}")
    db.execute("ALTER TABLE old RENAME TO generator")
    db.execute("UPDATE meta SET value = '1' WHERE key = 'format_version'")
    db.commit()
    db.close()
