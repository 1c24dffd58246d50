"""The parts of a run with workers that need neither server nor process: shares, frames by number, losses, clocks."""

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gevent.queue import Queue
from locust.rpc.protocol import Message

from bench.cli.distributing import make_crew
from bench.cli.merging import MergedStore, pack
from bench.cli.options import TargetOptions
from bench.cli.worker import parse_address
from bench.db.connection import without_password
from bench.errors import UsageError
from bench.load.plan import Plan
from bench.load.user import ShopUser
from bench.metrics.frame import Frame
from bench.metrics.recorder import ArrivalLabel, Recorder, TransactionLabel
from bench.results.read import Run
from bench.results.store import RunWriter
from bench.scenario.model import Phase, Region, Scenario, Workload
from bench.scenario.schedule import make_schedule
from bench.stats.validity import Evidence
from bench.target.base import Target
from bench.team import messages
from bench.team.briefing import Briefing
from bench.team.coordinator import Coordinator
from bench.team.framebook import PATIENCE_S, FrameBook, Rows, Sent
from bench.team.losses import Book, Ledger, write_off
from bench.team.members import Offset
from bench.team.messages import Hello, Part, digest
from bench.team.office import Letter, Office
from bench.team.roster import Crew, Roster
from bench.team.shares import Share, hand_over, joined, share_out

REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")
SCENARIO = Scenario(
    name="parts",
    question="who plays what?",
    workload=Workload(user="bench.workloads.flash_sale:FlashSaleUser"),
    phases=(
        Phase(name="calm", duration=20.0, rate={"browse": (20.0, 20.0), "buy": (5.0, 5.0)}),
        Phase(name="spike", duration=10.0, rate={"browse": (50.0, 90.0)}, burst={"buy": 40}),
    ),
    regions=tuple(Region(name=name) for name in REGIONS),
)
WHOLE = make_schedule(SCENARIO, 7)
MANIFEST = {
    "schema_version": 1,
    "run_id": "run",
    "bench_version": "0",
    "created_utc": "2026-03-01T10:15:00Z",
    "command": "bench run",
    "scenario": {},
    "seed": 1,
    "regions": ["us-east"],
    "target": {
        "kind": "url",
        "dialect": "postgres",
        "server_version": "18",
        "safe_url": "postgresql://db/shop",
        "variant": "pg",
        "isolation": "serializable",
    },
    "data": {"scale": "tiny", "seed": 1, "fingerprint": ""},
    "machine": {"os": "Linux", "python": "3", "cpus": 2},
    "workload": "bench.workloads.flash_sale:FlashSaleUser",
}


def numbers(share: Share) -> list[int]:
    return [int(n) for part in share.parts(WHOLE, REGIONS) for n in part.number]


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 7])
def test_arrivals_are_split_without_overlap_and_keep_their_seeds(workers: int) -> None:
    shares = share_out(dict.fromkeys(REGIONS, 9), [None] * workers)
    found = Counter(number for share in shares for number in numbers(share))
    assert found == Counter(range(len(WHOLE)))
    for share in shares:
        part = joined(share, WHOLE, REGIONS)
        assert sorted(part.number.tolist()) == sorted(numbers(share))
        assert np.array_equal(part.seed, WHOLE.seed[part.number])
        assert np.array_equal(part.due_ns, WHOLE.due_ns[part.number])
    assert sum(sum(share.users.values()) for share in shares) == 36
    totals = [sum(share.users.values()) for share in shares]
    assert max(totals) - min(totals) <= 1, "what does not divide evenly is not always the same worker's"


def test_a_worker_without_users_in_a_region_gets_none_of_its_arrivals() -> None:
    shares = share_out({"us-east": 2, "us-west": 5, "eu-west": 1, "asia-pac": 1}, [None] * 4)
    assert Counter(n for share in shares for n in numbers(share)) == Counter(range(len(WHOLE)))
    for share in shares:
        assert {h.region for h in share.holdings} == set(share.users)
        assert all(share.users.values())


def test_workers_bound_to_regions_play_these_alone() -> None:
    east = frozenset({"us-east", "us-west"})
    shares = share_out(dict.fromkeys(REGIONS, 4), [east, None, frozenset({"eu-west"})])
    assert set(shares[0].users) == east
    assert set(shares[2].users) == {"eu-west"}
    assert set(shares[1].users) == set(REGIONS)
    assert Counter(n for share in shares for n in numbers(share)) == Counter(range(len(WHOLE)))
    with pytest.raises(UsageError, match="no worker serves the region 'asia-pac'"):
        share_out(dict.fromkeys(REGIONS, 4), [east, frozenset({"eu-west"})])


def test_the_share_of_a_lost_worker_goes_to_the_others_whole_and_again() -> None:
    names = ["w1", "w2", "w3"]
    shares = dict(zip(names, share_out(dict.fromkeys(REGIONS, 6), [None] * 3), strict=True))
    newcomers = dict.fromkeys(REGIONS, 6)
    lost = shares.pop("w2")
    for name, more in hand_over(lost, dict.fromkeys(shares), newcomers).items():
        shares[name] = shares[name].with_more(more)
    assert Counter(n for share in shares.values() for n in numbers(share)) == Counter(range(len(WHOLE)))
    assert sum(sum(share.users.values()) for share in shares.values()) == 24
    players = [number for share in shares.values() for number in share.players["us-east"]]
    assert len(set(players)) == len(players)
    assert not set(lost.players["us-east"]) & set(players), "what the lost players had done is not known"
    last = shares.pop("w1")
    (more,) = hand_over(last, {"w3": None}, newcomers).values()
    assert Counter(numbers(shares["w3"].with_more(more))) == Counter(range(len(WHOLE)))


def test_a_region_that_nobody_else_serves_cannot_be_handed_over() -> None:
    one, _ = share_out(dict.fromkeys(REGIONS, 2), [None, frozenset({"us-east"})])
    with pytest.raises(UsageError, match="no other worker serves the region 'us-west'"):
        hand_over(one, {"w2": frozenset({"us-east"})}, {})


# -- frames


def sent(worker: str, number: int) -> Sent:
    return Sent(worker, number, float(number), [])


def test_a_frame_is_handed_out_when_all_have_sent_it() -> None:
    book = FrameBook({"a", "b"})
    assert book.add(sent("a", 1), 1.01)
    assert book.take(1.02) is None
    book.add(sent("b", 1), 1.03)
    found = book.take(1.04)
    assert found is not None
    assert [part.worker for part in found.parts] == ["a", "b"]
    assert book.take(1.05) is None
    assert not book.late


def test_a_late_worker_holds_up_the_others_for_two_seconds_only() -> None:
    book = FrameBook({"a", "b"})
    for number in (1, 2, 3):
        book.add(sent("a", number), number + 0.01)
    assert book.take(3.0) is None
    found = book.take(1 + PATIENCE_S + 0.01)
    assert found is not None
    assert [part.worker for part in found.parts] == ["a"]
    assert book.add(sent("b", 1), 4.5) is False, "its frame has been stored, so it is stored by itself"
    assert book.add(sent("b", 2), 4.5) is True
    assert (book.late["b"].times, book.late["b"].worst_s) == (2, 3.5)
    assert "a" not in book.late


def test_nobody_waits_for_a_worker_that_has_ended() -> None:
    book = FrameBook({"a", "b"})
    book.add(Sent("a", 1, 0.4, []), 0.41)
    book.leave("a")
    book.add(sent("b", 1), 1.01)
    book.add(sent("b", 2), 2.01)
    assert [found.number for found in iter(lambda: book.take(2.1), None)] == [1, 2]


class Shelf:
    """Takes frames as a run store does, and says which workers' parts were in each."""

    def __init__(self) -> None:
        self.frames: dict[int, list[str]] = {}
        self.late: list[int] = []

    def write(self, own: Frame, parts: Sequence[Rows]) -> Frame:
        self.frames.setdefault(own.number, []).extend(part[0][0] for part in parts)
        return own

    def write_late(self, number: int, rows: Rows) -> None:
        self.late.append(number)


class NoServer:
    def collect(self) -> dict[str, float]:
        return {}


class Inbox(Office):
    """Its inbox alone: it listens nowhere."""

    def __init__(self) -> None:
        self.inbox = Queue()


@dataclass
class Desk:
    """A coordinator that is in the middle of a run of two workers, ``now_s`` after its start."""

    coordinator: Coordinator
    shelf: Shelf

    def post(self, worker: str, number: int, came_s: float) -> None:
        """Put a part of a frame into the inbox, where it lies until the coordinator reads it."""
        at_ns = self.coordinator._origin_ns + int(came_s * 1e9)
        data = [number, float(number), [[worker, []]]]
        self.coordinator._office.inbox.put(Letter(messages.FRAME, f"client of {worker}", data, at_ns))

    def late(self) -> dict[str, int]:
        return {worker: late.times for worker, late in self.coordinator._book.late.items()}


@pytest.fixture
def desk() -> Desk:
    target = Target("url", "postgres", "18.0", "pg", dict.fromkeys(REGIONS, ("postgresql://db/shop",)))
    plan = Plan(SCENARIO, WHOLE, target, ShopUser, None, None, "run", dict.fromkeys(REGIONS, 1))
    shelf = Shelf()
    coordinator = Coordinator(plan, Briefing("0" * 12, {}), Crew(0, 2), shelf, NoServer(), lambda _: None)
    coordinator._office = Inbox()
    for name in ("a", "b"):
        letter = Letter(messages.HELLO, f"client of {name}", hello(name=name).data(), 0)
        coordinator._roster.welcome(coordinator._office, letter)
    coordinator._book = FrameBook({"a", "b"})
    coordinator._origin_ns = time.perf_counter_ns() - int(5e9)
    return Desk(coordinator, shelf)


def test_what_lay_unread_while_the_disk_was_slow_came_in_time(desk: Desk) -> None:
    """Five seconds into the run the coordinator reads three frames at once: its own commits kept it, not the workers."""
    for number in (1, 2, 3):
        for worker in ("a", "b"):
            desk.post(worker, number, number + 0.01)
    desk.coordinator._write_due()
    assert desk.shelf.frames == {number: ["a", "b"] for number in (1, 2, 3)}
    assert (desk.shelf.late, desk.late()) == ([], {})


def test_what_came_while_a_frame_was_stored_is_read_before_the_next_is_given_up(desk: Desk) -> None:
    for worker in ("a", "b"):
        desk.post(worker, 1, 1.01)
    desk.post("a", 2, 2.01)
    desk.coordinator.progress = lambda frame: desk.post("b", 2, 2.02) if frame.number == 1 else None
    desk.coordinator._write_due()
    assert desk.shelf.frames == {1: ["a", "b"], 2: ["a", "b"]}
    assert (desk.shelf.late, desk.late()) == ([], {})


def test_a_worker_is_late_by_when_its_part_came(desk: Desk) -> None:
    desk.post("a", 1, 1.01)
    desk.post("b", 1, 1 + PATIENCE_S + 0.5)
    desk.coordinator._write_due()
    assert desk.late() == {"b": 1}
    assert desk.coordinator._book.late["b"].worst_s == pytest.approx(PATIENCE_S + 0.5)


# -- percentiles


def test_percentiles_of_merged_frames_are_those_of_the_pooled_samples(tmp_path: Path) -> None:
    """Raw samples dealt to four workers and twenty frames, unevenly, with tails that differ from worker to worker."""
    rng = np.random.default_rng(11)
    writer = RunWriter(tmp_path / "run")
    store = MergedStore(writer, Evidence(), lambda _: None)
    pooled: list[int] = []
    for number in range(1, 21):
        parts = []
        for worker in range(4):
            recorder = Recorder(("calm",))
            size = 40 * (worker + 1) ** 2
            samples = rng.lognormal(14 + 0.6 * worker, 0.4 + 0.3 * worker, size).astype(np.int64)
            for value in samples.tolist():
                label = TransactionLabel("us-east", "checkout", "ok", "ok")
                recorder.transaction(label, 0, value, value // 2, 1)
            pooled += samples.tolist()
            rows = pack(recorder.take(number, float(number), 0.0).fold(None, {}))
            parts.append(Message.unserialize(Message("frame", rows, "w").serialize()).data)
        own = Recorder(("calm",)).take(number, float(number), 0.0).fold(None, {})
        store.write(own, parts)
    writer.close()
    (tmp_path / "run" / "manifest.json").write_text(json.dumps(MANIFEST))
    ordered = np.sort(np.array(pooled))
    with Run.open(tmp_path / "run") as run:
        (cell,) = run.cells
    assert cell.count == len(pooled)
    for percent in (1, 10, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100):
        exact = ordered[max(0, int(np.ceil(round(percent * len(ordered) / 100, 6))) - 1)]
        assert cell.response.percentile_ns(percent) == pytest.approx(exact, rel=0.001)
        assert cell.service.percentile_ns(percent) == pytest.approx(exact // 2, rel=0.001)


# -- losses


def test_what_a_lost_worker_owed_is_written_off_and_nothing_vanishes() -> None:
    share, _ = share_out(dict.fromkeys(REGIONS, 4), [None, None])
    mine = joined(share, WHOLE, REGIONS)
    until_ns = 22_000_000_000
    due = mine.due_ns < until_ns
    ledger = Ledger()
    # Its last frame was that of 15 s: of what was due by then, two in a region are still in flight.
    reported = mine.due_ns < 15_000_000_000
    for region, name in enumerate(REGIONS):
        count = int((reported & (mine.region == region) & (mine.session == 0)).sum())
        ledger.add(
            [
                ["arrivals", [("calm", name, "browse", count, count - 1, 0, b"", b"")]],
                ["transactions", [("calm", name, "session:browse", "ok", "ok", count - 3, 0, b"", b"")]],
            ]
        )
    known = [int((reported & (mine.region == region) & (mine.session == 0)).sum()) for region in range(4)]
    recorder = Recorder(tuple(phase.name for phase in SCENARIO.phases))
    missed: list[tuple[ArrivalLabel, int, int]] = []
    book = Book(recorder, lambda label, seed, due_ns, _: missed.append((label, seed, due_ns)))
    loss = write_off(ledger, share.parts(WHOLE, REGIONS), SCENARIO, book, until_ns, 5_000_000_000)
    frame = recorder.take(1, 0.0, 0.0).fold(None, {})
    assert loss.unfinished == 8
    assert loss.dropped == int(due.sum()) - sum(known) + 4
    assert sum(cell.dropped for cell in frame.arrivals) == loss.dropped
    assert sum(cell.offered for cell in frame.arrivals) == int(due.sum()) - sum(known)
    waits = [cell.response for cell in frame.transactions if cell.outcome == "dropped"]
    assert max(wait.max_ns for wait in waits) < until_ns
    assert sum(wait.count for wait in waits) == loss.dropped
    # Each by its own seed, from which follows what it wanted.
    seeds = {(int(seed), int(due)) for seed, due in zip(mine.seed, mine.due_ns, strict=True)}
    assert len(missed) == len({seed for _, seed, _ in missed}) == loss.dropped
    assert {(seed, due) for _, seed, due in missed} <= seeds


# -- clocks and messages


def test_the_offset_of_a_clock_is_that_of_the_middle_of_the_exchange() -> None:
    # 700 ns there, 300 back, 50 in between, and the worker's clock is a million ahead.
    found = Offset.of(1_000, 1_001_700, 1_001_750, 2_050)
    assert (found.offset_ns, found.rtt_ns) == (1_000_200, 1_000)
    assert abs(found.offset_ns - 1_000_000) <= found.rtt_ns / 2


def test_a_part_comes_out_of_json_as_it_went_in() -> None:
    share, _ = share_out(dict.fromkeys(REGIONS, 3), [None, None])
    text = SCENARIO.model_dump_json(exclude_defaults=True)
    part = Part("w1", "run", "0" * 12, text, {"a": 1}, digest(WHOLE), {"kind": "url"}, share, REGIONS)
    read = Part.of(part.text())
    assert read == part
    assert digest(make_schedule(read.read_scenario(), 7)) == digest(WHOLE)
    assert digest(make_schedule(read.read_scenario(), 8)) != digest(WHOLE)
    with pytest.raises(UsageError, match="cannot be read"):
        Part.of('{"worker": "w1"}')


def test_a_password_is_not_sent() -> None:
    for url in ("postgresql://shop:geh%2Feim@db:26257/shop?sslmode=require", "host=db user=shop password='geh/eim'"):
        sent_text = without_password(url)
        assert "eim" not in sent_text
        assert "user=shop" in sent_text


def hello(**changes: Any) -> Hello:
    return Hello.of({**Hello(messages.PROTOCOL, bench_version(), "far", "host:1", ()).data(), **changes})


def bench_version() -> str:
    from bench import __version__

    return __version__


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, ""),
        ({"version": "0.0.1"}, "it is bench 0.0.1, this is bench"),
        ({"protocol": 99}, "this is bench"),
        ({"regions": ("mars",)}, "region 'mars' is not in this run"),
        ({"name": "w1"}, "a worker is called 'w1' already"),
    ],
)
def test_a_worker_that_does_not_fit_is_refused(changes: dict[str, Any], reason: str) -> None:
    roster = Roster(Crew(1, 1), REGIONS, lambda _: None)
    roster._tokens["secret"] = "w1"
    objection = roster.objection(hello(**changes))
    assert objection.startswith(reason) if reason in ("", "it is bench 0.0.1, this is bench") else reason in objection
    assert bool(objection) is bool(reason)


def test_what_is_no_introduction_is_none() -> None:
    with pytest.raises(ValueError, match="not an introduction"):
        Hello.of(["w1"])


@pytest.mark.parametrize(
    ("text", "found"),
    [("10.0.0.5", ("10.0.0.5", 5557)), ("db:99", ("db", 99)), ("[::1]:99", ("::1", 99)), ("[::1]", ("::1", 5557))],
)
def test_addresses(text: str, found: tuple[str, int]) -> None:
    assert parse_address(text) == found


@pytest.mark.parametrize("text", ["", ":99", "db:", "db:0", "db:x", "db:70000"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not an address"):
        parse_address(text)


def test_who_is_to_play() -> None:
    embedded = TargetOptions(None, (), None, None)
    given = TargetOptions("postgresql://db/shop", (), None, None)
    assert make_crew(None, 0, None, embedded) is None
    assert make_crew(2, 0, None, embedded) == Crew(2, 0, "127.0.0.1", 0)
    assert make_crew(None, 3, "10.0.0.5", given) == Crew(0, 3, "10.0.0.5", 5557)
    for arguments, message in (
        ((None, 0, "10.0.0.5", given), "--bind does nothing"),
        ((0, 0, None, given), "needs a worker"),
        ((1, 1, "10.0.0.5", embedded), "cannot use the embedded server"),
    ):
        with pytest.raises(UsageError, match=message):
            make_crew(*arguments)
