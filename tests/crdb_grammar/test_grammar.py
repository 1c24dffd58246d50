"""CockroachDB's own parser accepts every statement that we send to CockroachDB.

The parser checks the grammar of SQL and of PL/pgSQL bodies.  It cannot check what needs a server: whether tables, columns
and functions exist, types and casts, which constructs a server refuses after parsing (PARTITION BY in a multi-region
database, a subquery in an index predicate), or the text between ``{`` and ``}`` that a caller fills in.

Slow: the first build of the parser takes about two minutes; later ones come from Go's build cache in seconds.
"""

import json
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from bench.data.blocks import DataSet
from bench.data.files import FilesOptions, schemas_for, write_files
from bench.data.spec import SeedSpec
from bench.db import session
from bench.db.catalogue import Statement, read, read_package
from bench.db.ddl import load_schema, source
from bench.db.indexing import CockroachLab
from bench.db.placeholders import placeholders_as_numbers, with_names

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
REGION_SETS = (("us-east", "us-west", "eu-west", "asia-pac"), ("local",))
CATALOGUE_FOLDERS = (("bench.workloads", "sql"), ("bench.db", "sql"), ("bench.audit", "sql"))

REFUSED = {
    "a PostgreSQL clause": "CREATE TABLE t (a UUID, UNIQUE NULLS NOT DISTINCT (a))",
    "a declarative partition": "CREATE TABLE users_us_east PARTITION OF users FOR VALUES IN ('us-east')",
    "a missing comma": "SELECT region::TEXT count(*) FROM orders",
    "a half placeholder": "SELECT $",
    "an unknown locality": "CREATE TABLE t (a INT8) LOCALITY REGIONAL BY COLUMN",
    "two statements": "SELECT 1; SELECT 2",
    "no statement": "",
    "PERFORM in PL/pgSQL": "CREATE FUNCTION f() RETURNS INT8 LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN 1; END $$",
    "a typing error in PL/pgSQL": "CREATE FUNCTION f() RETURNS INT8 LANGUAGE plpgsql AS $$ BEGIN RETRN 1; END $$",
}


@pytest.fixture(scope="module")
def parser(tmp_path_factory):
    """The program, built."""
    if not shutil.which("go"):
        pytest.skip("go is not installed: CockroachDB's grammar is not checked")
    program = tmp_path_factory.mktemp("grammar") / "crdb_grammar"
    build = subprocess.run(["go", "build", "-o", program, "."], cwd=HERE, capture_output=True, text=True, check=False)
    assert build.returncode == 0, build.stderr
    return program


def parse(program: Path, entries: list[tuple[str, str, str]], *, scripts: bool = False) -> list[dict]:
    lines = "".join(json.dumps({"origin": o, "name": n, "sql": sql, "script": scripts}) + "\n" for o, n, sql in entries)
    done = subprocess.run([program], input=lines, capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(a["origin"], a["name"]) for a in answers] == [(o, n) for o, n, _ in entries]
    return answers


def refused(answers: list[dict]) -> list[str]:
    return [f"{a['origin']} {a['name']}: {a['error']}" for a in answers if not a["ok"]]


def as_sent(statement: Statement) -> str:
    """A statement with a name for each identifier that it leaves open, and several where there may be several."""
    named = {name: ["a", "select"] if name.endswith("s") else 'odd "name"' for name in statement.names}
    return placeholders_as_numbers(with_names(statement.sql, named), [param.name for param in statement.params])


def cockroach_variants() -> list[str]:
    return [name for name, info in source().VARIANTS.items() if info.dialect == "cockroach"]


def test_there_are_four_cockroach_variants():
    assert len(cockroach_variants()) == 4


@pytest.mark.parametrize("regions", REGION_SETS, ids=len)
@pytest.mark.parametrize("variant", cockroach_variants())
def test_every_statement_of_the_schema_parses(parser, variant, regions):
    schema = load_schema(variant, regions, date(2026, 3, 1))
    entries = [(variant, f"{ddl.kind} {ddl.name}", ddl.sql) for ddl in schema.statements]
    entries += [(variant, f"drop {number}", sql) for number, sql in enumerate(schema.drops)]
    entries += [(variant, f"checksum of {table}", sql) for table, sql in schema.checksums]
    entries.append((variant, "database", with_names(schema.database, {"name": "shop"})))
    assert len(entries) > 80
    assert refused(parse(parser, entries)) == []


@pytest.mark.parametrize(("package", "folder"), CATALOGUE_FOLDERS)
def test_every_statement_of_the_catalogue_parses(parser, package, folder):
    path = read_package(package, folder)
    if not path.is_dir():
        pytest.skip(f"{package} has no statements")
    entries = [(s.place, s.name, as_sent(s)) for s in read([path]) if s.serves("cockroach")]
    assert refused(parse(parser, entries)) == []


def test_what_the_protocol_and_the_driver_send_parses(parser):
    """Words of ours that are in no file, those that psycopg sends for us, and what stands before a statement."""
    ours = [session.BEGIN, session.COMMIT, session.ROLLBACK]
    # psycopg's transaction() and its prepared statements (psycopg/transaction.py, psycopg/_preparing.py).
    drivers = ["BEGIN", 'SAVEPOINT "_pg3_1"', 'RELEASE "_pg3_1"', 'ROLLBACK TO "_pg3_1"', "DEALLOCATE ALL", "COMMIT"]
    nowhere: Any = None
    lab = CockroachLab(nowhere)
    prefixes = [lab.explain, lab.analyze]
    statements = [s for s in read([read_package("bench.workloads", "sql")]) if s.serves("cockroach")]
    plain = [s for s in statements if not s.sql.startswith("REFRESH")]
    explained = [(f"{prefix} {s.name}", f"{prefix} {s.numbered}") for prefix in prefixes for s in plain]
    entries = [("protocol", text, text) for text in (*ours, *drivers)]
    assert refused(parse(parser, entries + [("explained", *pair) for pair in explained])) == []
    assert len(explained) > 100


@pytest.mark.parametrize("folder", sorted(EXAMPLES.glob("*/sql")), ids=lambda folder: folder.parent.name)
def test_every_statement_of_the_examples_parses(parser, folder):
    entries = [(s.place, s.name, s.numbered) for s in read([folder]) if s.serves("cockroach")]
    assert entries
    assert refused(parse(parser, entries)) == []


def test_every_statement_of_the_index_experiment_parses(parser):
    from tests.indexes.test_cockroach import sent_to_cockroach

    entries = [("indexes", str(number), sql) for number, sql in enumerate(sent_to_cockroach())]
    assert len(entries) == 9
    assert refused(parse(parser, entries)) == []


@pytest.mark.parametrize("why", REFUSED)
def test_what_is_not_cockroachdb_is_refused(parser, why):
    [answer] = parse(parser, [("negative", why, REFUSED[why])])
    assert not answer["ok"]
    assert answer["error"]


def test_postgres_schema_with_partitions_is_refused(parser):
    schema = load_schema("pg_partitioned", REGION_SETS[0], date(2026, 3, 1))
    entries = [("pg_partitioned", ddl.name, ddl.sql) for ddl in schema.statements if ddl.kind == "partition"]
    assert len(refused(parse(parser, entries))) == len(entries) > 0


def test_an_entry_tells_what_it_holds(parser):
    [answer] = parse(parser, [("here", "s", "SELECT $1::crdb_internal_region")])
    assert answer == {"origin": "here", "name": "s", "ok": True, "error": "", "statements": ["SELECT"]}


@pytest.mark.parametrize("variant", cockroach_variants())
def test_every_script_of_exported_files_parses(parser, variant, tmp_path):
    spec = SeedSpec("tiny", 7, date(2026, 3, 1), REGION_SETS[0])
    options = FilesOptions(base_url="s3://bucket/it's here?AUTH=implicit")
    write_files(tmp_path / "files", DataSet(spec), schemas_for(spec, variant), options)
    scripts = sorted((tmp_path / "files" / "cockroach").rglob("*.sql"))
    answers = parse(parser, [(variant, path.name, path.read_text()) for path in scripts], scripts=True)
    assert refused(answers) == []
    tags = {answer["name"]: answer["statements"] for answer in answers}
    imports = [tags[name] for name in tags if name[0].isdigit()]
    assert imports == [["IMPORT"]] * 16
    schema = load_schema(variant, spec.regions, spec.as_of)
    assert tags["indexes.sql"] == ["CREATE INDEX"] * len(schema.stage("indexes"))
    assert set(tags["validate.sql"]) == {"ALTER TABLE"}
    assert tags["after.sql"].count("ALTER TABLE") == len(schema.stage("foreign_keys"))


def test_a_script_with_a_fault_is_refused(parser):
    script = "SELECT 1; IMPORT INTO t (a) CSV DATA ('f') WITH nullif = '';"
    faults = ["SELECT 1; IMPORT INTO t (a) CSV DATA 'f'", script.replace("nullif = ''", "nullif ''"), ""]
    answers = parse(parser, [("here", str(n), sql) for n, sql in enumerate([script, *faults])], scripts=True)
    assert [answer["ok"] for answer in answers] == [True, False, False, False]
    assert not parse(parser, [("here", "not a script", script)])[0]["ok"]
