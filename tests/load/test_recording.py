"""What a user tells the recorder arrives in the frame under the right label."""

import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import bench.load  # noqa: F401  (patches the standard library before psycopg is imported)
from bench.db.catalogue import Catalogue
from bench.db.connection import connect
from bench.db.session import Effects, Session
from bench.load.user import ShopUser
from bench.metrics.frame import RetryCell
from bench.metrics.recorder import ArrivalLabel, Recorder, RetryLabel, StatementLabel, TransactionLabel

PHASES = ("warm-up", "steady")


def frame_of(recorder: Recorder):
    return recorder.take(1, 1.0, 1000.0).fold(None, {})


def test_an_aborted_attempt_keeps_reason_statement_and_key_apart() -> None:
    recorder = Recorder(PHASES)
    user = SimpleNamespace(
        equipment=SimpleNamespace(recorder=recorder), region="eu-west", _phase=1, _transaction="checkout", _reasons=[]
    )
    for wasted_ns in (5, 7):
        ShopUser.retry(user, "reserve_guarded", "deadlock_detected", wasted_ns, "SKU-1")  # type: ignore[arg-type]
    cells = frame_of(recorder).retries
    assert cells == (
        RetryCell("steady", "eu-west", "checkout", "reserve_guarded", "deadlock_detected", "SKU-1", 2, 12),
    )
    assert user._reasons == ["deadlock_detected"] * 2


def test_every_kind_of_sample_keeps_its_label_and_phase() -> None:
    recorder = Recorder(PHASES)
    recorder.transaction(TransactionLabel("a", "checkout", "sold_out", "business"), 1, 30, 20, 3)
    recorder.statement(recorder.statement_label(StatementLabel("a", "checkout", "COMMIT")), 0, 9, False)
    recorder.retry(RetryLabel(0, "a", "checkout", "COMMIT", "40001", "K"), 4)
    recorder.offered(ArrivalLabel("b", "buy"), 1)
    recorder.dropped(ArrivalLabel("b", "buy"), 1, 77)
    frame = frame_of(recorder)
    made = {(c.phase, c.region, c.name, c.outcome, c.kind, c.count, c.attempts) for c in frame.transactions}
    assert made == {
        ("steady", "a", "checkout", "sold_out", "business", 1, 3),
        ("steady", "b", "session:buy", "dropped", "failure", 1, 0),
    }
    times = {c.name: (c.response.max_ns, c.service.max_ns) for c in frame.transactions}
    assert times == {"checkout": (30, 20), "session:buy": (77, 0)}
    (statement,) = frame.statements
    assert (statement.phase, statement.statement, statement.errors, statement.time.max_ns) == (
        "warm-up",
        "COMMIT",
        1,
        9,
    )
    assert [(c.reason, c.statement, c.key) for c in frame.retries] == [("40001", "COMMIT", "K")]
    assert [(c.phase, c.session, c.offered, c.started, c.dropped) for c in frame.arrivals] == [
        ("steady", "buy", 1, 0, 1)
    ]


def test_the_trail_says_which_statements_travelled_with_the_one_before(fresh_database: str, tmp_path: Path) -> None:
    """Only who pays for an exchange has paid the distance, however long the others of it wait."""
    (tmp_path / "own.sql").write_text("-- name: one\nSELECT 1\n\n-- name: nap\nSELECT pg_sleep(0.01)\n")
    recorder = Recorder(PHASES)
    user = SimpleNamespace(equipment=SimpleNamespace(recorder=recorder), region="eu-west", _phase=1, _transaction="t")
    user._own_labels, user._trail, user._answered_ns = {}, [], 0
    user._label = partial(ShopUser._label, user)
    user.statement = partial(ShopUser.statement, user)
    catalogue = Catalogue.load([tmp_path], "postgres")
    effects = Effects(time.perf_counter_ns, lambda _: None)
    session = Session("eu-west", lambda: connect(fresh_database), catalogue, user, effects, 0.001)
    session.begin(deferred=True)
    session.batch([("one", None), ("nap", None)])
    session.execute("one")
    session.batch([("nap", None), ("one", None)], commit=True)
    session.drop()
    told = [(name, is_joined) for name, _, is_joined in user._trail if name != "CONNECT"]
    assert told == [
        ("BEGIN", False),
        ("one", True),
        ("nap", True),
        ("one", False),
        ("nap", False),
        ("one", True),
        ("COMMIT", True),
    ]
