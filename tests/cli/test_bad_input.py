"""What users get wrong, and the exact words that they get for it: three lines at most, an exit code each."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from tests_support import command

from bench.db.dialects import Cockroach, Postgres, dialect_of
from bench.errors import TargetError
from bench.target.embedded import EmbeddedServer
from tests.cli.conftest import Told

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
SEED = ("--scale", "tiny", "--as-of", "2026-11-01")


def said(done: "subprocess.CompletedProcess[str]", code: int) -> list[str]:
    """The error that was printed, without what went before it."""
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("error:"))
    return lines[start:]


SCENARIOS = Path(__file__).parents[2] / "scenarios"


def test_an_unknown_scenario_suggests_the_nearest(bench: Bench) -> None:
    assert said(bench("run", "flash-sal"), 2) == [
        "error: no scenario named 'flash-sal'",
        f"hint: did you mean 'flash-sale'? `bench scenarios` lists all {len(list(SCENARIOS.glob('*.toml')))}",
    ]


def test_two_faults_of_a_file_are_both_named(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\nquestion = "?"\nuser = 5\n[workload]\nuser = "m:C"\n'
        '[[phases]]\nname = "a"\nduration = "1s"\n[[phases]]\nname = "b"\nduration = "1s"\nrate = { buy = "900/minn" }\n'
    )
    assert said(bench("run", "mine.toml"), 2) == [
        "error: mine.toml has 2 faults",
        "  phases[1].rate.buy: '900/minn' is not a rate (want e.g. '40/s', '900/min')",
        "  user: unknown key (did you mean 'users'?)",
    ]


def test_a_missing_file(bench: Bench) -> None:
    assert said(bench("run", "./none.toml"), 2) == [
        "error: cannot read scenario './none.toml'",
        "cause: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--users", "0"), "error: invalid value for '--users': 0 is not in the range x>=1"),
        (("--duration", "0"), "error: invalid value for '--duration': '0' is not longer than zero"),
        (("--duration", "soon"), "error: invalid value for '--duration': 'soon' is not a duration"),
        (("--rate", "0/s"), "error: invalid value for '--rate': '0/s' is not above zero"),
        (("--dura", "5s"), "error: no such option '--dura'"),
        (("--scale", "smal"), "error: no scale named 'smal'"),
        (("--scale", "0"), "error: scale 0 is not above 0"),
        (("--set", "strategy=hopeful"), "error: workload.settings has 1 fault"),
        (("--set", "hot"), "error: 'hot' is not a setting"),
        (("--regions", ","), "error: ',' is not a list of regions"),
        (
            ("--gateway", "us-east:postgresql://u:secret@h/d"),
            "error: 'us-east:postgresql://u:***@h/d' is not a gateway",
        ),
        (("--as-of", "yesterday"), "error: 'yesterday' is not a day"),
    ],
)
def test_an_option(told: Told, arguments: tuple[str, ...], message: str) -> None:
    code, lines = told("run", "flash-sale", *arguments)
    assert code == 2
    assert lines[0].startswith(message)
    assert len(lines) <= 3
    assert not any("secret" in line for line in lines)


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        ("crdb", "error: no schema variant named 'crdb'"),
        ("crdb_rbr", "error: variant 'crdb_rbr' is for CockroachDB"),
    ],
)
def test_a_variant(bench: Bench, variant: str, message: str) -> None:
    lines = said(bench("run", "flash-sale", "--variant", variant), 2)
    assert lines[0].startswith(message)
    assert len(lines) <= 3


def test_an_unreachable_database(bench: Bench) -> None:
    lines = said(bench("run", "flash-sale", "--url", "postgresql://shop:secret@127.0.0.1:1/shop"), 3)
    assert lines[0] == "error: cannot reach database 'shop' on 127.0.0.1:1"
    assert "Connection refused" in lines[1]
    assert lines[2] == "hint: check the address, and that it is up"
    assert "secret" not in "\n".join(lines)


def test_a_wrong_password_is_not_echoed(bench: Bench, server: EmbeddedServer) -> None:
    url = f"postgresql://postgres:secret@127.0.0.1:{server.port}/postgres"
    done = bench("run", "flash-sale", "--url", url)
    assert said(done, 3) == [
        f"error: database 'postgres' on 127.0.0.1:{server.port} refused the user or the password",
        "hint: check the user and password in the URL, or set PGPASSWORD",
    ]
    assert "secret" not in done.stdout + done.stderr


def test_no_such_database(bench: Bench, server: EmbeddedServer) -> None:
    assert said(bench("run", "flash-sale", "--url", server.url("nowhere")), 3) == [
        f"error: database 'nowhere' on 127.0.0.1:{server.port} has no such database",
        "hint: create it, or name another in the URL",
    ]


def test_what_is_not_a_url(bench: Bench) -> None:
    assert said(bench("run", "flash-sale", "--url", "shop on my laptop"), 2)[0] == (
        "error: 'shop on my laptop' is not a connection URL"
    )


def place(url: str) -> str:
    info = psycopg.conninfo.conninfo_to_dict(url)
    return f"database '{info['dbname']}' on {info['host']}:{info['port']}"


def test_a_database_without_our_schema(bench: Bench, fresh_database: str) -> None:
    assert said(bench("run", "flash-sale", "--url", fresh_database), 3) == [
        f"error: {place(fresh_database)} does not hold our schema",
        "hint: run `bench seed --url …` first",
    ]


@pytest.fixture
def seeded(bench: Bench, fresh_database: str) -> str:
    done = bench("seed", "--url", fresh_database, *SEED)
    assert done.returncode == 0, done.stderr
    return fresh_database


def note(url: str, key: str, value: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE shopbench_meta SET value = %s WHERE key = %s", (value, key))


@pytest.mark.slow
def test_a_seeded_database_in_the_wrong_state(bench: Bench, seeded: str) -> None:
    """One seeding serves: regions, an unfinished load, another version, damage, a second seeding."""
    where = place(seeded)
    run = ("run", "flash-sale", "--url", seeded, "--duration", "2s")
    assert said(bench(*run, "--regions", "us-east,mars"), 3) == [
        f"error: region 'mars' is not in {where} (it has: us-east, us-west, eu-west, asia-pac)",
        "hint: pass --regions us-east,us-west,eu-west,asia-pac, or seed the database for your regions",
    ]
    assert said(bench("seed", "--url", seeded, *SEED), 3) == [
        f"error: {where} is already seeded",
        "hint: pass --fresh to remove it and load anew",
    ]
    note(seeded, "state", "loading")
    assert said(bench(*run), 3) == [
        f"error: {where} was not loaded to the end (state: loading)",
        "hint: run `bench seed --resume --url …` to go on, or with --fresh to load it anew",
    ]
    note(seeded, "schema_version", "0")
    assert said(bench(*run), 3) == [
        f"error: {where} holds version 0 of the schema, this bench needs 1",
        "hint: run `bench seed --fresh --url …` to load it anew",
    ]


def test_tables_of_somebody_else_are_left_alone(bench: Bench, fresh_database: str) -> None:
    with psycopg.connect(fresh_database) as connection:
        connection.execute("CREATE TABLE orders (precious TEXT)")
        connection.execute("INSERT INTO orders VALUES ('data')")
    for arguments in ((), ("--fresh",)):
        assert said(bench("seed", "--url", fresh_database, *SEED, *arguments), 3) == [
            f"error: {place(fresh_database)} already has 'orders', which bench did not make",
            "hint: name an empty database, or pass --fresh --yes to have it dropped",
        ]
    assert said(bench("schema", "drop", "--url", fresh_database), 3)[0].startswith("error: bench did not make")
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT precious FROM orders").fetchall() == [("data",)]


def test_a_view_of_somebody_else_is_left_alone(bench: Bench, fresh_database: str) -> None:
    with psycopg.connect(fresh_database) as connection:
        connection.execute("CREATE MATERIALIZED VIEW product_ratings AS SELECT 1 AS precious")
    lines = said(bench("seed", "--url", fresh_database, *SEED), 3)
    assert lines[0] == f"error: {place(fresh_database)} already has 'product_ratings', which bench did not make"
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT precious FROM product_ratings").fetchall() == [(1,)]


def test_a_user_without_privileges(bench: Bench, fresh_database: str, server: EmbeddedServer) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("CREATE ROLE visitor LOGIN PASSWORD 'secret'")
    try:
        url = fresh_database.replace(fresh_database.split("://")[1].split("@", maxsplit=1)[0], "visitor:secret")
        lines = said(bench("seed", "--url", url, *SEED), 3)
        assert lines[0] == "error: the database refused what bench asked of it"
        assert lines[1].startswith("cause: InsufficientPrivilege: permission denied for schema public")
        assert len(lines) == 3
    finally:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("DROP ROLE visitor")


def test_an_unwritable_output_folder(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lines = said(bench("run", "flash-sale", "--scale", "tiny", "--out", "file/runs"), 2)
    assert lines[0].startswith("error: cannot write to 'file/runs")
    assert len(lines) <= 3


def test_a_taken_port(bench: Bench, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        lines = said(bench("run", "flash-sale", "--scale", "tiny", "--port", str(port)), 3)
    assert lines[0] == f"error: port {port} on 127.0.0.1 is taken"
    assert not list((tmp_path / "runs").iterdir()), "a run that never began leaves nothing behind"
    assert lines[-1].startswith("hint:")


def connection(version: int, **parameters: str) -> Any:
    return SimpleNamespace(info=SimpleNamespace(server_version=version, parameter_status=parameters.get))


@pytest.mark.parametrize(
    ("answering", "message"),
    [
        (connection(140005), "the server is PostgreSQL 14, too old for this schema"),
        (
            connection(130000, crdb_version="CockroachDB CCL v24.3.1 (x86_64-pc-linux-gnu, built 2025/01/01)"),
            "the server is CockroachDB v24.3.1, too old for this schema",
        ),
        (connection(130000, crdb_version="CockroachDB"), "cannot tell the server's version from 'CockroachDB'"),
    ],
)
def test_a_server_too_old(answering: Any, message: str) -> None:
    """No such server can be had here, so what a connection says of it stands in for it."""
    with pytest.raises(TargetError) as caught:
        dialect_of(answering).version(answering)
    assert caught.value.message == message


def test_servers_new_enough() -> None:
    assert Postgres().version(connection(150018)) == "15.18"
    assert Cockroach().version(connection(130000, crdb_version="CockroachDB CCL v26.2.1 (x)")) == "v26.2.1"


def test_help_is_quick_and_imports_no_heavy_library() -> None:
    script = "import sys; from bench.cli import main\ntry: main()\nexcept SystemExit: pass\nprint(*sorted(sys.modules))"
    done = subprocess.run(
        [Path(command()).with_name("python"), "-c", script, "--help"],
        capture_output=True,
        text=True,
        env={**os.environ},
        check=True,
    )
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"locust", "gevent", "psycopg", "numpy", "matplotlib", "faker", "pydantic", "rich"}
