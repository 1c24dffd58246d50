"""``bench seed`` as its user meets it: what it prints, what it goes on with, what it refuses."""

import os
import pty
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import psycopg
import pytest
from tests_support import command, drop_database

from bench.cli import console
from bench.cli.seed_progress import SeedProgress
from bench.data.spec import SeedSpec, row_counts
from bench.data.tally import Progress
from bench.target.embedded import EmbeddedServer

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
TINY = ("--scale", "tiny", "--as-of", "2026-11-01")


def table_of(done: "subprocess.CompletedProcess[str]") -> dict[str, tuple[int, str]]:
    """Rows and checksum by table, as printed."""
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()[1:]]
    return {words[0]: (int(words[1].replace(",", "")), "".join(words[2:])) for words in lines}


def error_of(done: "subprocess.CompletedProcess[str]", code: int) -> list[str]:
    assert done.returncode == code, (done.stdout, done.stderr)
    lines = done.stderr.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("error:"))
    assert len(lines) - start <= 3
    return lines[start:]


def meta(url: str) -> dict[str, str]:
    with psycopg.connect(url) as connection:
        return dict(connection.execute("SELECT key, value FROM shopbench_meta").fetchall())


@pytest.fixture(scope="module")
def template(server: EmbeddedServer) -> Iterator[str]:
    """A database that `bench seed` has filled, to be copied."""
    name = f"seeded_{os.getpid()}"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        done = subprocess.run([command(), "seed", "--url", server.url(name), *TINY], check=False, capture_output=True)
        assert done.returncode == 0, done.stderr
        yield name
        drop_database(connection, name)


@pytest.fixture
def seeded(template: str, server: EmbeddedServer) -> Iterator[str]:
    """A copy of one's own."""
    name = f"{template}_copy"
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield server.url(name)
        drop_database(connection, name)


@pytest.mark.slow
def test_the_embedded_server_and_a_url_hold_the_same_rows_by_any_number_of_processes(bench: Bench, fresh_database: str):
    here = table_of(bench("seed", *TINY))
    there = table_of(bench("seed", "--url", fresh_database, *TINY, "--processes", "3", "--connections", "4"))
    assert here == there
    assert here["orders"] == (400, here["orders"][1])
    assert re.fullmatch(r"[0-9a-f]{16}", here["orders"][1])
    assert here["total"][0] == sum(rows for table, (rows, _) in here.items() if table != "total")


def test_a_finished_load_is_left_alone_by_resume(bench: Bench, seeded: str):
    before = meta(seeded)
    done = bench("seed", "--url", seeded, *TINY, "--resume")
    assert table_of(done)["orders"][0] == 400
    assert "holds this data already" in done.stderr
    assert meta(seeded) == before


def test_resume_does_not_mix_two_loads(bench: Bench, seeded: str):
    place = re.escape(seeded.rpartition("/")[2])
    for changed, said in (
        ("--seed", "data seed is 1, not 2"),
        ("--zipf", "data fingerprint is [0-9a-f]+, not [0-9a-f]+"),
    ):
        lines = error_of(bench("seed", "--url", seeded, *TINY, "--resume", changed, "2"), 3)
        assert re.match(f"error: database '{place}' on .* holds another load: its {said}", lines[0])
        assert lines[1:] == ["hint: pass the options of that load, or --fresh to begin anew"]


def test_an_unfinished_load_is_named(bench: Bench, seeded: str):
    with psycopg.connect(seeded) as connection:
        connection.execute("UPDATE shopbench_meta SET value = 'loading' WHERE key = 'state'")
    lines = error_of(bench("seed", "--url", seeded, *TINY), 3)
    assert lines[0].endswith("holds a load that did not finish")
    assert lines[1] == "hint: pass --resume to go on with it, or --fresh to begin anew"


@pytest.mark.slow
def test_fresh_replaces_what_bench_made(bench: Bench, seeded: str):
    before = table_of(bench("seed", "--url", seeded, *TINY, "--resume"))
    done = bench("seed", "--url", seeded, *TINY, "--fresh", "--seed", "2")
    assert table_of(done)["orders"] != before["orders"]
    assert "removing  the schema" in done.stderr


@pytest.mark.slow
def test_an_interrupted_removal_is_not_taken_for_a_load(bench: Bench, seeded: str):
    with psycopg.connect(seeded) as connection:
        connection.execute("UPDATE shopbench_meta SET value = 'removing' WHERE key = 'state'")
        connection.execute("DROP TABLE product_reviews CASCADE")
    assert bench("run", "flash-sale", "--url", seeded).returncode == 3
    assert bench("seed", "--url", seeded, *TINY, "--resume").returncode == 3
    assert table_of(bench("seed", "--url", seeded, *TINY, "--fresh"))["product_reviews"][0] > 0


def test_an_empty_mark_is_that_of_a_load_that_was_killed_at_once(bench: Bench, fresh_database: str):
    with psycopg.connect(fresh_database) as connection:
        connection.execute(
            "CREATE TABLE shopbench_meta (key VARCHAR(64) NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key))"
        )
    assert table_of(bench("seed", "--url", fresh_database, *TINY, "--resume", "--only", "coupons"))["coupons"][0] == 20


@pytest.mark.slow
def test_a_schema_of_the_role_does_not_hide_public(bench: Bench, fresh_database: str):
    """The default search path begins with a schema of the role's name, where there is one."""
    with psycopg.connect(fresh_database) as connection:
        connection.execute("CREATE SCHEMA postgres")
        connection.execute("CREATE TABLE postgres.users (mine INT)")
    only = ("--only", "users")
    assert table_of(bench("seed", "--url", fresh_database, *TINY, *only))["users"][0] == 80
    assert table_of(bench("seed", "--url", fresh_database, *TINY, *only, "--fresh"))["users"][0] == 80
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT count(*) FROM postgres.users").fetchone() == (0,)


@pytest.mark.parametrize("url", ["postgresql://shop:s3cret%zz@h/db", "postgresql://shop:s3c ret@h/db"])
def test_a_url_that_cannot_be_read_is_not_repeated(bench: Bench, url: str):
    lines = error_of(bench("seed", "--url", url, *TINY), 2)
    assert lines[0] == "error: the connection URL cannot be read"
    assert "s3c" not in "".join(lines)


@pytest.mark.slow
def test_a_choice_of_tables(bench: Bench, fresh_database: str):
    done = bench("seed", "--url", fresh_database, *TINY, "--only", "cart_items")
    filled = {table for table, (rows, _) in table_of(done).items() if rows} - {"total"}
    assert filled == {
        *("categories", "products", "product_variants", "warehouses", "users", "shopping_carts", "cart_items"),
    }
    assert "only      cart_items, and what they refer to: categories" in done.stderr
    lines = error_of(bench("run", "flash-sale", "--url", fresh_database), 3)
    assert "holds only cart_items, categories" in lines[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "user"), "error: no table named 'user'"),
        (("--only", ","), "error: no table named ','"),
        (("--scale", "-1"), "error: scale -1 is not above 0 and at most 1000 (multiples of medium)"),
        (("--scale", "1e12"), "error: scale 1e12 is not above 0 and at most 1000 (multiples of medium)"),
        (("--zipf", "7"), "error: zipf 7.0 is not between 0 and 2 (exponent of popularity)"),
        (("--processes", "0"), "error: invalid value for '--processes': 0 is not in the range 1<=x<=64"),
    ],
)
def test_bad_options(bench: Bench, arguments: tuple[str, ...], message: str):
    assert error_of(bench("seed", *TINY, *arguments), 2)[0] == message


@pytest.mark.slow
def test_bars_on_a_terminal(home: Path, tmp_path: Path, fresh_database: str):
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [command(), "seed", "--url", fresh_database, "--scale", "0.01"],
        cwd=tmp_path,
        env={**os.environ, "BENCH_HOME": str(home), "TERM": "xterm-256color", "COLUMNS": "120"},
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while piece := read(ours):
        shown += piece
    assert process.wait() == 0
    text = shown.decode()
    assert re.search(r"order_items .*\d+ rows/s +[\d.]+ MB/s", text)
    assert re.search(r"foreign keys", text)


def read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:
        # The other end of a pseudo-terminal was closed.
        return b""


def test_a_line_an_interval_in_a_pipe(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr("bench.cli.seed_progress.PIPE_EVERY_S", 0.0)
    spec = SeedSpec("tiny", 1, date(2026, 11, 1), ("us-east",))
    total = sum(row_counts(spec).values())
    with SeedProgress(spec, None) as shown:
        shown.show(Progress("copy", "users", 80, 80, 8_000, 1.0))
        shown.show(Progress("copy", "orders", 400, 400, 200_000, 2.0))
        shown.show(Progress("foreign_keys", "fk_orders_user", 3, 9, 0, 4.0))
    lines = capsys.readouterr().err.splitlines()
    assert lines[1].startswith(
        f"seeding   480 of about {total:,} rows ({480 / total:.0%}), 480 rows/s, 208 kB/s, about "
    )
    assert lines[1].endswith("left; now orders")
    assert lines[2] == "seeding   foreign keys: 3 of 9 (fk_orders_user), 4 s"
    assert not console.is_terminal()


@pytest.mark.slow
def test_too_little_disk_is_said_before_anything_starts(bench: Bench, tmp_path: Path):
    """Terabytes: no machine that runs this has as much."""
    huge = ("--scale", "1000", "--as-of", "2026-11-01")
    lines = error_of(bench("seed", *huge), 3)
    assert re.match(r"error: scale 1000 needs about [\d.]+ TB, .* has [\d.]+ [MGT]B free", lines[0])
    lines = error_of(bench("seed", *huge, "--to-files", "out"), 3)
    assert re.match(r"error: scale 1000 needs about [\d.]+ TB as files, .* free", lines[0])
    assert not (tmp_path / "out").exists()


def test_an_estimate_changes_nothing(bench: Bench, fresh_database: str):
    done = bench("seed", "--url", fresh_database, *TINY, "--estimate")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^orders +400 +[\d.]+ kB +[\d.]+ kB +\d", done.stdout, re.MULTILINE)
    assert re.search(r"^time +about .* over \d+ connections$", done.stdout, re.MULTILINE)
    with psycopg.connect(fresh_database) as connection:
        count = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        ).fetchone()
    assert count == (0,)


@pytest.mark.slow
def test_an_estimate_for_the_embedded_server_names_its_disk(bench: Bench):
    done = bench("seed", *TINY, "--estimate")
    assert re.search(r"^disk +[\d.]+ MB with the copy for a run, [\d.]+ [GT]B free in /", done.stdout, re.MULTILINE)


def test_files_are_written_and_finished(bench: Bench, tmp_path: Path):
    done = bench("seed", *TINY, "--to-files", "out", "--base-url", "s3://bucket/shop")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^orders +400$", done.stdout, re.MULTILINE)
    assert "to load   see out/README.md" in done.stderr
    assert any("s3://bucket/shop/" in path.read_text() for path in tmp_path.glob("out/cockroach/**/*.sql"))
    again = bench("seed", *TINY, "--to-files", "out", "--base-url", "s3://bucket/shop")
    assert re.search(r"written +(\d+) files, \1 of them were there", again.stderr)
