"""The facts that `bench cluster smoke` asks for: its own logic, on PostgreSQL, for the facts that both databases share."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from bench.cli.smoking import smoke, statements_of, text_lines
from bench.db.admin import admin_catalogue
from bench.db.dialects import Cockroach
from bench.db.facts import FACTS
from bench.db.lab import Lab, opened_lab
from bench.db.smoke import Checked, applicable, check_facts
from bench.db.smoke_checks import answers
from bench.errors import TargetError
from tests.db.wire_double import BOOLEAN, TEXT, Answer, Refusal, Reply, WireDouble

ROOT = Path(__file__).parents[2]
SHARED = [fact for fact in FACTS if fact.is_shared]
GOOD = next(fact for fact in SHARED if fact.name.startswith("NULLS LAST"))


@pytest.fixture
def gateways(pg_url: str) -> dict[str, tuple[str, ...]]:
    return {"us-east": (pg_url,), "eu-west": (pg_url,)}


@pytest.fixture
def lab(gateways: dict[str, tuple[str, ...]]) -> Iterator[Lab]:
    with opened_lab(gateways, statements_of()) as made:
        yield made


def scratch_databases(url: str) -> set[str]:
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT datname FROM pg_database WHERE datname LIKE 'shopbench_smoke_%'").fetchall()
    return {str(name) for (name,) in found}


def test_postgresql_agrees_with_every_fact_that_both_share(pg_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By the command: a region, and a gateway whose region is not known."""
    assert smoke({"us-east": (pg_url,), "": (pg_url,)}, as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["schema_version"], found["server"], found["variant"]) == (1, "PostgreSQL", "pg")
    assert [row for row in found["facts"] if row["state"] != "ok"] == []
    assert [row["fact"] for row in found["facts"]] == [fact.name for fact in SHARED]
    assert len(SHARED) > 20


def test_a_difference_a_refusal_and_a_lost_connection_are_told_and_the_rest_is_asked_for(lab: Lab) -> None:
    """Planted: each kind of disagreement, each followed by a fact that holds."""

    def cut(lab: Lab) -> str:
        pid = lab.connection.info.backend_pid
        lab.another().execute("SELECT pg_terminate_backend(%s)", (pid,))
        return answers("smoke_one")(lab)

    def left_open(lab: Lab) -> str:
        lab.ask("rehearsal_begin")
        return answers("smoke_divide")(lab)

    planted = [
        replace(GOOD, name="differs", expected="NULL; 1; 2"),
        replace(GOOD, name="refused", check=answers("smoke_look")),
        replace(GOOD, name="refused as expected", check=answers("smoke_look"), expected="refused 42P01"),
        replace(GOOD, name="refused otherwise", check=answers("smoke_look"), expected="refused 42501"),
        replace(GOOD, name="lost", check=cut),
        replace(GOOD, name="left open", check=left_open),
    ]
    checked = list(check_facts(lab, [fact for each in planted for fact in (each, GOOD)]))
    assert [(each.fact, each.state) for each in checked[::2]] == [
        ("differs", "differs"),
        ("refused", "error"),
        ("refused as expected", "ok"),
        ("refused otherwise", "error"),
        ("lost", "error"),
        ("left open", "error"),
    ]
    assert {each.state for each in checked[1::2]} == {"ok"}
    assert checked[0].found == "1; 2; NULL"
    assert checked[2].found == '42P01: relation "smoke_items" does not exist'


def test_a_schema_that_is_not_taken_is_named(lab: Lab) -> None:
    """Planted: a table in the way, a statement of the workload that no server knows."""
    lab.connection.execute("CREATE TABLE coupons (id BIGINT)")
    named = {each.fact: each for each in check_facts(lab, FACTS)}
    assert named["every statement of the schema is taken"].found.startswith("not table coupons (42P07 ")
    found = named["the catalogue of the database shows the schema as it was made"].found
    assert found.startswith("not column coupons.id is bigint, not uuid; ")
    assert re.search(r" and \d+ more$", found)
    assert named["every statement of the workload and the audit is understood"].found.startswith("not ")
    assert (
        "(42883 operator does not exist" in named["every statement of the workload and the audit is understood"].found
    )


def test_the_database_is_its_own_and_goes_away(gateways: dict[str, tuple[str, ...]], pg_url: str) -> None:
    before = scratch_databases(pg_url)
    found = []

    def interrupted() -> None:
        with opened_lab(gateways, statements_of()) as lab:
            found.append(lab.connection.info.dbname)
            assert scratch_databases(pg_url) - before == {found[0]}
            lab.another()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert found[0].startswith("shopbench_smoke_")
    assert scratch_databases(pg_url) == before


def test_a_server_that_lets_nobody_make_a_database_is_told(pg_url: str) -> None:
    with psycopg.connect(pg_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE smoke_nobody LOGIN PASSWORD 'none'")
    try:
        with (
            pytest.raises(TargetError) as caught,
            opened_lab({"a": (make_conninfo(pg_url, user="smoke_nobody", password="none"),)}, {}),
        ):
            pass
        assert caught.value.message == "cannot make a database to ask questions in"
        assert "42501" in (caught.value.cause or "")
    finally:
        with psycopg.connect(pg_url, autocommit=True) as connection:
            connection.execute("DROP ROLE smoke_nobody")


# -- the list


def test_every_fact_says_where_it_is_needed_and_where_it_is_from() -> None:
    assert len({fact.name for fact in FACTS}) == len(FACTS)
    for fact in FACTS:
        places = re.findall(r"\b(?:bench|schema|workloads|docs)/[\w/.]+", fact.needed_by)
        assert places, fact
        assert all((ROOT / place.rstrip(".")).exists() for place in places), fact
        assert re.search(r"\[(?:D|LT|SRC|PSY):|cockroachdb/cockroach#|docs/cockroachdb.md", fact.source), fact


def test_every_statement_of_the_checks_is_used() -> None:
    written = "".join(
        (ROOT / "bench/db" / name).read_text()
        for name in ("facts.py", "facts_of_sessions.py", "smoke_checks.py", "smoke_sessions.py")
    )
    names = {name for name in admin_catalogue("cockroach") if name.startswith("smoke_")}
    assert {name for name in names if f'"{name}"' not in written} == set()


@pytest.mark.parametrize(("version", "asked"), [("v25.4.2", False), ("v26.1.0", True), ("v26.2.1", True)])
def test_a_fact_of_later_releases_is_not_asked_of_earlier_ones(version: str, asked: bool) -> None:
    nowhere: Any = None
    lab = Lab({}, Cockroach(), version, nowhere, nowhere, nowhere, "")
    named = {fact.name for fact in applicable(FACTS, lab)}
    assert ("other internals are refused with 42501" in named) is asked
    assert len(named) == len(FACTS) - (not asked)


def test_where_regions_cannot_be_had_the_other_facts_are_asked_for() -> None:
    """The server says so once; the database is then made without regions."""
    refused = Refusal("42704", 'region "us-east" does not exist')
    script = {"CREATE DATABASE": [refused, Answer()], "SELECT n FROM": [Answer(("n",), (("1",), ("2",)))]}
    status = {"crdb_version": "CockroachDB CCL v26.2.1 (x86_64)"}
    with WireDouble(script, status) as double, opened_lab({"us-east": (double.url(),)}, statements_of()) as lab:
        assert lab.schema.variant == "crdb_single"
        wanted = ("a database can be made", "NULLS LAST", "gateway_region")
        checked = list(check_facts(lab, [fact for fact in FACTS if fact.name.startswith(wanted)]))
    assert [(each.state, each.found) for each in checked] == [
        ("differs", 'refused 42704: region "us-east" does not exist'),
        ("differs", "not database 'shop' on 127.0.0.1:" + checked[1].found.partition("127.0.0.1:")[2]),
        ("differs", "1; 2"),
    ]
    made = [text for text in double.sent if text.startswith(("CREATE DATABASE", "DROP DATABASE"))]
    assert [text.split()[0] for text in made] == ["CREATE", "CREATE", "DROP"]
    assert "PRIMARY REGION" in made[0]
    assert "shopbench_smoke_" in made[2]


def one(*values: str, of: int = TEXT) -> Answer:
    return Answer(("found",), tuple((value,) for value in values), of)


def test_the_checks_of_cockroachdb_alone_find_what_is_documented(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each fact that PostgreSQL does not share, against answers as its source has them; and each is asked for."""
    monkeypatch.setattr("bench.db.smoke_checks._POLL_S", 0.001)
    alone = [fact for fact in FACTS if not fact.is_shared]
    missing = Refusal("42P01", 'relation "smoke_items" does not exist')
    script: dict[str, list[Reply]] = {
        "SELECT gateway_region()": [one("us-east")],
        "SELECT region FROM [SHOW REGIONS": [one("asia-pac", "us-east")],
        "SHOW default_transaction_isolation": [one("serializable")],
        "SELECT n FROM": [Answer(("n",), ((None,), ("1",), ("2",)))],
        "SELECT 7 / 2": [one("t", of=BOOLEAN)],
        "SELECT pg_try_advisory_lock": [one("t", of=BOOLEAN)],
        # Not there yet 4.2 seconds ago.
        "SELECT count(*) > 0 FROM smoke_items AS OF": [missing, one("t", of=BOOLEAN)],
        "SELECT count(*) > 0": [one("t", of=BOOLEAN)],
        "REFRESH": [missing, Answer(), Refusal("25000", "cannot refresh view in an explicit transaction")],
        "EXPLAIN": [
            one("• scan", "  table: smoke_items@smoke_items_pkey", "index recommendations: 1", "smoke_items_units"),
            one("• scan", "  table: smoke_items@smoke_items_units"),
        ],
        "SELECT count(*) FROM crdb_internal": [Refusal("42501", "Access to crdb_internal and system is restricted.")],
    }
    status = {"crdb_version": "CockroachDB CCL v26.2.1 (x86_64-pc-linux-gnu, built 2026/05/04)"}
    with WireDouble(script, status) as double, opened_lab({"us-east": (double.url(),)}, statements_of()) as lab:
        checked = list(check_facts(lab, alone))
        sent = double.sent[:]
    assert [each for each in checked if each.state != "ok"] == []
    assert len(checked) == len(alone) > 15
    shared = [text for text in sent if text.startswith("ALTER INDEX")]
    assert shared == ['ALTER INDEX "smoke_items"@"smoke_items_units" NOT VISIBLE']
    # What reads the server and its schema was really sent, with values.
    assert len([text for text in sent if "crdb_internal.statement_statistics" in text]) >= 2
    assert len([text for text in sent if "information_schema." in text]) >= 4


# -- the command's output


def rows() -> list[Checked]:
    return [
        Checked("one", "1", "1", "ok", "bench/db", "[D:x]"),
        Checked("two", "2", "3", "differs", "bench/db/retry.py", "[D:y]"),
    ]


def test_the_table_has_what_was_expected_and_found() -> None:
    lines = list(text_lines(rows()))
    assert lines[0].split() == ["fact", "expected", "found"]
    assert lines[1].split() == ["ok", "one", "1", "1"]
    assert lines[2].split() == ["differs", "two", "2", "3"]
    assert lines[3].split() == ["needed", "by", "bench/db/retry.py;", "source", "[D:y]"]


def test_a_difference_is_exit_code_1(
    pg_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planted = (replace(SHARED[0], check=answers("smoke_one"), expected="2"), replace(GOOD, name="a fact that holds"))
    monkeypatch.setattr("bench.db.facts.FACTS", planted)
    assert smoke({"us-east": (pg_url,)}, as_json=False) == 1
    said = capsys.readouterr().out
    assert said.endswith("1 of 2 facts does not hold: runs on this server may mean something else\n")
    assert f"needed by {SHARED[0].needed_by}; source" in said
