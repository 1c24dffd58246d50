"""For tests: a database of two tables on a real server, and a player of one session on it."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench.db.admin import Admin
from bench.db.catalogue import Catalogue, read_package
from bench.db.connection import connect
from bench.db.indexing import lab_of, read_foreign_keys, read_indexes
from bench.db.rehearsal import Enough, Rehearsal
from bench.indexes.experiment import Experiment
from bench.indexes.results import IndexResult, Weights, assemble, constraint
from bench.indexes.survey import Play, Survey
from bench.indexes.trial import Bench

SCHEMA = """
CREATE TABLE people (id BIGINT PRIMARY KEY, name TEXT);
CREATE TABLE things (id BIGINT PRIMARY KEY, owner BIGINT REFERENCES people ON DELETE CASCADE, size BIGINT, note TEXT);
INSERT INTO people SELECT n, 'p' || n FROM generate_series(1, 2000) AS g (n);
INSERT INTO things SELECT n, 1 + n % 2000, n, repeat('x', 50) FROM generate_series(1, 20000) AS g (n);
CREATE INDEX vital ON things (owner, size);
CREATE INDEX again ON things (owner, size);
CREATE INDEX begins ON things (owner);
CREATE INDEX useless ON things (note);
CREATE INDEX for_deletes ON things (owner) WHERE size > 0;
VACUUM ANALYZE people, things;
"""
STATEMENTS = """
-- name: things_of
-- params: owner bigint
SELECT id, size FROM things WHERE owner = %(owner)s::BIGINT ORDER BY size
-- name: add_thing
-- params: id bigint, owner bigint
INSERT INTO things (id, owner, size, note) VALUES (%(id)s::BIGINT, %(owner)s::BIGINT, 1, 'n') RETURNING id
-- name: all_sizes
SELECT sum(size) FROM things
-- name: never_sent
-- params: note text
SELECT id FROM things WHERE note = %(note)s::TEXT
"""
REGION = "here"


class Stage:
    """A database with players of two sessions."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        (folder / "own.sql").write_text(STATEMENTS)
        self.catalogue = Catalogue.load([folder, read_package("bench.db", "sql")], "postgres")
        self.own = Catalogue.load([folder], "postgres")
        self.connection = connect(url)
        self.admin = Admin.of(self.connection, "postgres")
        self.session = Rehearsal(REGION, partial(connect, url), self.catalogue, lambda *_: None)
        self.trouble: Callable[[], None] = lambda: None
        lab = lab_of(self.admin, "postgres")
        self.bench = Bench("postgres", lab, self.catalogue, {})
        self.survey = Survey("postgres", lab, self.catalogue, {})
        self.remembered: list[str] = []

    def play(self, play: Play, visitors) -> None:
        session = self.session
        session.visit = visitors()
        session.raise_curtain()
        try:
            session.begin()
            session.execute("things_of", {"owner": 1 + play.seed})
            self.trouble()
            session.execute("add_thing", (100_000 + play.seed, 1 + play.seed))
            session.commit()
            session.execute("all_sizes")
        except Enough:
            pass
        finally:
            session.drop_curtain()

    def experiment(self, may_drop: bool = True, plays: int = 4) -> Experiment:
        self.survey.play_all(self.play, ["only"], [REGION])
        self.survey.look_at_unplayed(self.connection, self.own.values())
        return Experiment(
            *(
                self.bench,
                self.play,
                self.survey,
                read_indexes(self.admin, "postgres"),
                read_foreign_keys(self.admin),
                plays,
            ),
            admin=self.connection,
            may_drop=may_drop,
            remember=self.remembered.append,
        )

    def result(self, experiment: Experiment, name: str) -> IndexResult:
        [index] = [index for index in experiment.indexes if index.name == name]
        weights = Weights(self.survey.calls_per_play(), (REGION,), False, {})
        if index.is_unique:
            return constraint(index, weights)
        return assemble(experiment, experiment.trial(index), weights, is_candidate=False)

    def state(self) -> tuple:
        """The schema's indexes, and every row."""
        indexes = sorted((index.name, index.definition) for index in read_indexes(self.admin, "postgres"))
        rows = self.connection.execute("SELECT count(*), sum(hashtext(t::TEXT)) FROM things t").fetchall()
        return indexes, rows
