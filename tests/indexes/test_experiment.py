"""The experiment on a real server: rows, indexes and statements of its own, small enough for seconds."""

import psycopg
import pytest

from bench.db.catalogue import Catalogue
from bench.db.indexing import read_indexes, read_partition_names, rebuild, restore
from tests.indexes.stage import REGION, Stage

# Verdicts rest on what statements took: beside other work intervals may be too wide for one, so these may try again.
pytestmark = pytest.mark.flaky(reruns=2)


def test_indexes_are_told_apart_and_nothing_is_left(stage: Stage) -> None:
    before = stage.state()
    experiment = stage.experiment()
    vital, again, begins, useless, key = (
        stage.result(experiment, name) for name in ("vital", "again", "begins", "useless", "things_pkey")
    )
    # Measured as if the others, which could stand in for it, were gone.
    assert vital.verdict.word == "essential"
    assert again.verdict.word == "duplicate"
    assert "vital" in again.verdict.reason
    # That it gives nothing of its own is for its intervals to say, and beside other work they may be too wide.
    assert begins.verdict.word in ("duplicate", "can't tell")
    assert useless.verdict.word == "can't tell"
    assert useless.unplayed == ("never_sent",)
    assert key.verdict.word == "constraint"
    assert stage.state() == before


def test_the_evidence_of_an_index(stage: Stage) -> None:
    result = stage.result(stage.experiment(), "vital")
    by_name = {each.effect.statement: each for each in result.statements}
    assert {name: each.effect.role for name, each in by_name.items()} == {"things_of": "reads", "add_thing": "writes"}
    reader, writer = by_name["things_of"], by_name["add_thing"]
    assert "by vital" in reader.present.plan
    assert reader.absent.plan.endswith("Seq Scan things")
    assert (reader.present.rows, reader.absent.rows) == (10, 20_000)
    assert reader.present.blocks < 20 < reader.absent.blocks
    assert reader.effect.factor.low > 2
    # Every entry is in the log; without the index there is one less.
    assert writer.present.wal_bytes > writer.absent.wal_bytes > 0
    assert result.wal_bytes > 0
    assert writer.effect.n == 4
    assert {part.region for part in result.regions} == {REGION}
    assert result.foreign_keys == ("things_owner_fkey",)


def test_an_index_that_is_used_by_nothing(stage: Stage) -> None:
    stage.own = Catalogue.load([], "postgres")
    found = stage.result(stage.experiment(), "useless")
    assert found.verdict.word == "unused"
    assert found.balance.cost is not None


def test_without_leave_nothing_is_dropped_for_others(stage: Stage) -> None:
    found = stage.result(stage.experiment(may_drop=False), "vital")
    assert {each.effect.statement for each in found.statements} == {"things_of"}
    assert found.balance.cost is None
    assert stage.remembered == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("at", ["hidden in place", "dropped for real"])
def test_what_is_cut_off_is_put_back(stage: Stage, error: type[BaseException], at: str) -> None:
    before = stage.state()
    experiment = stage.experiment()
    [vital] = [index for index in experiment.indexes if index.name == "vital"]

    def trouble() -> None:
        gone = stage.connection.execute("SELECT to_regclass('vital') IS NULL").fetchall()[0][0]
        if at == "hidden in place" or gone:
            raise error

    stage.trouble = trouble
    with pytest.raises(error):
        experiment.trial(vital)
    assert stage.state() == before
    dropped = [vital.definition, ""] if at == "dropped for real" else []
    assert stage.remembered[-2:] == dropped


def test_an_index_left_behind_by_a_killed_experiment_is_made_again(stage: Stage) -> None:
    before = stage.state()
    definition = dict(before[0])["vital"]
    stage.connection.execute("DROP INDEX vital")
    for _ in range(2):
        restore(stage.connection, definition)
        assert stage.state() == before


def test_a_rehearsal_survives_what_the_server_refuses(stage: Stage) -> None:
    before = stage.state()
    session = stage.session
    session.raise_curtain()
    session.begin()
    with pytest.raises(psycopg.errors.UniqueViolation):
        session.execute("add_thing", {"id": 1, "owner": 1})
    session.rollback()
    assert session.execute("add_thing", {"id": 200_000, "owner": 1}) == [(200_000,)]
    assert len(session.execute("things_of", {"owner": 1})) == 11
    session.drop_curtain()
    assert stage.state() == before


def test_a_lost_connection_is_not_replaced_on_stage(stage: Stage) -> None:
    session = stage.session
    session.raise_curtain()
    session.drop()
    # On a new connection this would be committed.
    with pytest.raises(psycopg.OperationalError, match="lost"):
        session.execute("add_thing", {"id": 300_000, "owner": 1})
    session.drop_curtain()
    assert stage.connection.execute("SELECT count(*) FROM things WHERE id = 300000").fetchall() == [(0,)]


def test_an_index_of_a_partitioned_table_comes_back_with_its_parts(stage: Stage) -> None:
    for statement in (
        "CREATE TABLE parted (region TEXT, at BIGINT) PARTITION BY LIST (region)",
        "CREATE TABLE parted_east PARTITION OF parted FOR VALUES IN ('east')",
        "CREATE INDEX parted_at ON parted (at)",
    ):
        stage.connection.execute(statement)
    query = "SELECT indexrelid::regclass::TEXT, indisvalid FROM pg_index WHERE indrelid::regclass::TEXT ~ '^parted'"
    before = stage.connection.execute(query).fetchall()
    assert len(before) == 2
    [index] = [index for index in read_indexes(stage.admin, "postgres") if index.table == "parted"]
    assert index.bytes > 0
    assert read_partition_names(stage.admin) == {"parted_east_at_idx": "parted_at"}
    stage.bench.lab.drop(stage.connection, index)
    rebuild(stage.connection, index)
    assert stage.connection.execute(query).fetchall() == before


def test_a_dropped_index_does_not_cost_the_prepared_statements(stage: Stage) -> None:
    session = stage.session
    session.raise_curtain()
    session.timed_ms("things_of", {"owner": 1})
    for _ in range(10):
        # More often than psycopg takes to prepare a statement by itself.
        session.require_connection().execute("SELECT 1")
    with session.savepoint("arm"):
        session.require_connection().execute("DROP INDEX vital")
        assert session.timed_ms("things_of", {"owner": 1}) > 0
    assert session.timed_ms("things_of", {"owner": 1}, 3, "a side of its own") > 0
    session.drop_curtain()
