"""``bench cluster`` and ``--target cluster`` as commands: Docker is a program that answers as documented, CockroachDB's words
are replayed at the wire, and where both databases are alike the one behind the cluster's ports is a real PostgreSQL."""

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click
import psycopg
import pytest
from click.testing import CliRunner

from bench.cli import group
from bench.cli.options import TargetOptions, parse_target, target_options
from bench.cli.scenario_files import round_trips_beside
from bench.errors import BenchError
from bench.target.embedded import EmbeddedServer
from tests.db.wire_double import Answer, WireDouble
from tests.target.docker_double import FILE, REGIONS, DockerDouble, containers, resolved_services

Bench = Callable[..., "subprocess.CompletedProcess[str]"]
VERSION = "CockroachDB CCL v26.2.1 (x86_64-pc-linux-gnu, built 2026/05/04 14:31:02, go1.25.5)"
DISTANCE = {
    f"netem-{region}-{number}": "".join(f"{other} {ms + 0.2}\n" for other, ms in row.items() if other != region)
    for region, row in round_trips_beside(FILE).items()
    for number in (1, 2, 3)
}


@pytest.fixture
def docker(tmp_path: Path) -> DockerDouble:
    return DockerDouble(tmp_path / "bin")


@dataclass(frozen=True)
class Done:
    """What a command came to, as its process would have ended."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def invoke(docker: DockerDouble, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """Run a command in this process, with the file of the checkout; docker is a process of its own."""
    # Not by CliRunner's environment, which docker would not see.
    monkeypatch.setenv("PATH", docker.path)
    monkeypatch.setenv("BENCH_COMPOSE_FILE", str(FILE))
    monkeypatch.setenv("CRDB_CLIENT_CERTS", str(docker.folder / "certs"))

    def run(*words: str, **environment: str) -> Done:
        for name, text in environment.items():
            monkeypatch.setenv(name, text)
        done = CliRunner().invoke(group, words, standalone_mode=False)
        if isinstance(done.exception, BenchError):
            error = done.exception
            lines = [f"error: {error.message}", *(f"{error.cause}\n{error.hint}".splitlines())]
            return Done(error.exit_code, done.stdout, done.stderr + "\n".join(lines))
        assert done.exception is None, done.exc_info
        return Done(done.return_value or 0, done.stdout, done.stderr)

    return run


@pytest.fixture
def cluster(invoke: Callable[..., Done]) -> Callable[..., Done]:
    """Run `bench cluster`."""
    return partial(invoke, "cluster")


@contextlib.contextmanager
def gateways(zones: int = 2, **changed: Answer) -> Iterator[dict[str, WireDouble]]:
    """Four nodes that say what v26.2's documentation shows (show-regions, show-locality, alter-database)."""
    letters = "abc"[:zones]
    with contextlib.ExitStack() as stack:
        found = {}
        for region in REGIONS:
            script = {
                "SELECT 1 FROM pg_catalog.pg_database": Answer(("one",)),
                "SELECT region, array_to_string": Answer(
                    ("region", "zones"), tuple((r, ", ".join(f"{r}-{z}" for z in letters)) for r in sorted(REGIONS))
                ),
                "SELECT region, CASE": Answer(
                    ("region", "role"), tuple((r, "primary" if r == "us-east" else "") for r in sorted(REGIONS))
                ),
                "SELECT survival_goal": Answer(("survival_goal",), (("region",),)),
                "SHOW LOCALITY": Answer(("locality",), ((f"region={region},zone={region}-a",),)),
                "SHOW CLUSTER SETTING": Answer(("enterprise.license",), (("",),)),
                **changed,
            }
            double = WireDouble({start: [answer] for start, answer in script.items()}, {"crdb_version": VERSION})
            found[region] = stack.enter_context(double)
        yield found


def ports_of(doubles: dict[str, WireDouble]) -> dict[str, int]:
    return {region: int(double.url().split(":")[-1].split("/")[0]) for region, double in doubles.items()}


def distance_of(doubles: dict[str, WireDouble], per_region: int = 2) -> dict[str, object]:
    """What Docker knows of a cluster with these nodes."""
    ports = {f"CRDB_SQL_PORT_{region.upper().replace('-', '_')}": port for region, port in ports_of(doubles).items()}
    listed = containers(ports_of(doubles), per_region)
    return {"services": resolved_services(ports), "before": listed, "after": [listed], "round_trips": DISTANCE}


def test_up_makes_a_cluster_of_the_nodes_a_database_and_checks_both(cluster, docker):
    with gateways() as doubles:
        docker.knows(**distance_of(doubles))
        done, port = cluster("up", "--size", "region", "--wait", "3s"), ports_of(doubles)["asia-pac"]
        sent = doubles["us-east"].sent
    assert done.returncode == 0, done.stderr
    assert docker.compose_commands()[-1] == "exec"
    ups = [words for words, _ in docker.asked() if "up" in words]
    assert [words[3:] for words in ups] == [["--profile", "region", "up", "--detach", "--build", "--quiet-pull"]]
    made = [statement for statement in sent if statement.startswith(("CREATE", "ALTER"))]
    assert made == [
        'CREATE DATABASE "shop" PRIMARY REGION "us-east" REGIONS "us-west", "eu-west", "asia-pac" SURVIVE ZONE FAILURE',
        'ALTER DATABASE "shop" SURVIVE REGION FAILURE',
    ]
    lines = done.stdout.splitlines()
    # Regions, four times zones, regions and primary of the database, the goal, four gateways; three ways from each of
    # eight nodes.
    assert lines[0] == "checked   36 facts, 0 wrong"
    assert f"gateway   asia-pac  postgresql://root@127.0.0.1:{port}/shop?sslmode=disable" in lines
    assert "console   us-east   http://127.0.0.1:8080" in lines
    # The first node's data is of 1 November, 08:00.
    assert "5 transactions be open at a time from 2026-11-08 08:00 UTC on; then a run ends with XXC02" in done.stderr


def test_what_is_not_as_it_should_be_is_told_fact_by_fact(cluster, docker):
    changed = {
        "SELECT survival_goal": Answer(("survival_goal",), (("zone",),)),
        "SHOW LOCALITY": Answer(("locality",), (("region=us-east,zone=us-east-a",),)),
        "SHOW CLUSTER SETTING": Answer(("enterprise.license",), (("crl-0-ChB1x",),)),
    }
    with gateways(zones=1, **changed) as doubles:
        known = distance_of(doubles)
        known["round_trips"] = {**DISTANCE, "netem-eu-west-2": "us-east 0.2\nus-west 132.1\nasia-pac 240.0\n"}
        docker.knows(**known)
        done = cluster("status")
    assert done.returncode == 3
    errors = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert errors == [
        *(f"error: zones of {r}: expected {r}-a, {r}-b, found {r}-a" for r in sorted(REGIONS)),
        "error: the database survives the loss of a: expected region, found zone",
        *(f"error: the gateway of {r} stands in: expected region={r}, found region=us-east" for r in REGIONS[1:]),
        "error: round trip from crdb-eu-west-2 to us-east: expected 86 ms, found 0.2 ms",
    ]
    assert done.stdout.splitlines()[-1] == "checked   36 facts, 9 wrong"


def test_the_distances_are_those_beside_the_compose_file(cluster, docker, tmp_path):
    other = tmp_path / FILE.name
    other.write_text(FILE.read_text())
    with gateways() as doubles:
        docker.knows(**distance_of(doubles))
        missing = cluster("status", "--file", str(other))
        (tmp_path / "scenarios").mkdir()
        matrix = (FILE.parent / "scenarios" / "rtt.txt").read_text()
        (tmp_path / "scenarios" / "rtt.txt").write_text(matrix.replace("132", "120"))
        done = cluster("status", "--file", str(other))
    assert (missing.returncode, missing.stderr.splitlines()[0]) == (
        2,
        f"error: cannot read the distances in '{tmp_path}/scenarios/rtt.txt'",
    )
    assert "error: round trip from crdb-us-west-1 to eu-west: expected 120 ms, found 132.2 ms" in done.stderr
    assert done.stdout.splitlines()[-1] == "checked   36 facts, 4 wrong"


def test_init_on_a_database_that_is_there_keeps_it(cluster, docker):
    with gateways(**{"SELECT 1 FROM pg_catalog.pg_database": Answer(("one",), (("1",),))}) as doubles:
        docker.knows(**distance_of(doubles))
        done = cluster("init")
        sent = doubles["us-east"].sent
    assert done.returncode == 0, done.stderr
    assert not [statement for statement in sent if statement.startswith("CREATE")]
    assert "database  shop is there" in done.stderr
    assert [words[3:] for words, _ in docker.asked() if "up" in words] == [
        ["--profile", "region", "up", "--detach", "--no-deps", "init"]
    ]


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"engine": False}, "error: Docker's engine does not answer"),
        ({"compose": ""}, "error: docker has no compose plugin"),
        (
            {"memory": 8 << 30, "services": resolved_services({}), "before": []},
            "error: 12 nodes need 12.9 GB of memory",
        ),
        (
            {"services": resolved_services({}), "before": containers(dict.fromkeys(REGIONS, 1), 2)},
            "error: another cluster is here, of size region and without certificates",
        ),
        (
            {
                "services": resolved_services({}),
                "before": containers(dict.fromkeys(REGIONS, 1), 3, "--certs-dir=/certs"),
            },
            "error: another cluster is here, of size zone and with certificates",
        ),
    ],
    ids=["engine", "plugin", "memory", "another", "certificates"],
)
def test_nothing_is_started_where_something_is_in_the_way(cluster, docker, known, said):
    docker.knows(**known)
    done = cluster("up", "--size", "zone", "--wait", "3s")
    assert done.returncode == 3
    assert done.stderr.startswith(said)
    assert "up" not in docker.compose_commands()


def test_a_start_that_failed_half_way_is_gone_on_with(cluster, docker):
    with gateways() as doubles:
        known = distance_of(doubles)
        known["before"] = [one for one in known["before"] if not one["Service"].endswith("asia-pac-2")]
        docker.knows(**known)
        done = cluster("up", "--size", "region", "--wait", "3s")
    assert done.returncode == 0, done.stderr


def test_a_node_that_ends_is_told_with_its_last_words(cluster, docker):
    with gateways() as doubles:
        known = distance_of(doubles)
        listed = [
            {**one, "State": "exited", "ExitCode": 1} if one["Service"] == "crdb-eu-west-2" else one
            for one in containers(ports_of(doubles), 2)
        ]
        docker.knows(**known | {"after": [listed], "logs": {"crdb-eu-west-2": "ERROR: clock synchronization error\n"}})
        done = cluster("up", "--size", "region", "--wait", "3s")
    assert done.returncode == 3
    assert "  crdb-eu-west-2 ended with code 1: ERROR: clock synchronization error" in done.stderr.splitlines()


def test_the_file_is_not_here(cluster, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("BENCH_COMPOSE_FILE")
    done = cluster("status")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: there is no 'docker-compose.cluster.yml' here")


def test_data_is_removed_only_where_that_is_confirmed(cluster, docker):
    done = cluster("down", "--volumes")
    assert done.returncode == 2
    assert docker.asked() == []
    assert cluster("down", "--volumes", "--yes").returncode == 0
    assert cluster("down").stdout == "the cluster is down, its data is kept\n"
    downs = [words for words, _ in docker.asked() if words[0] == "compose"]
    assert ["--volumes" in words for words in downs] == [True, False]
    # A profile that is not named would keep its containers.
    assert all({"smoke", "region", "zone", "load"} <= set(words) for words in downs)


def test_logs_of_one_node(cluster, docker):
    docker.knows(logs={"crdb-us-west-1": "I260101 initialized\n"})
    done = cluster("logs", "--tail", "7", "crdb-us-west-1")
    assert (done.returncode, done.stdout) == (0, "I260101 initialized\n")
    assert docker.asked()[-1][0][-4:] == ["--no-color", "--tail", "7", "crdb-us-west-1"]


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (("--url", "postgresql://127.0.0.1:1/x"), {}, "error: cannot reach database 'postgres' on 127.0.0.1:1"),
        (
            ("--gateway", "us-east=postgresql://127.0.0.1:1/x"),
            {},
            "error: cannot reach database 'postgres' on 127.0.0.1:1",
        ),
        ((), {"BENCH_URL": "postgresql://127.0.0.1:1/x"}, "error: cannot reach database 'postgres' on 127.0.0.1:1"),
        (
            (),
            {"BENCH_GATEWAY": "us-east=postgresql://127.0.0.1:1/x"},
            "error: cannot reach database 'postgres' on 127.0.0.1:1",
        ),
        ((), {"BENCH_TARGET": "embedded", "BENCH_VARIANT": "pg"}, "error: the cluster does not run here"),
    ],
)
def test_the_facts_are_asked_of_the_cluster_here_or_of_an_address(cluster, words, environment, said):
    done = cluster("smoke", *words, **environment)
    assert (done.returncode, done.stderr[: len(said)]) == (3, said)


def test_what_is_asked_for_facts_has_no_variant(told):
    assert told("cluster", "smoke", "--variant", "pg")[1][0].startswith("error: no such option '--variant'")
    assert told("cluster", "smoke", "--target", "cluster")[1][0].startswith("error: no such option '--target'")


def test_the_schema_of_an_empty_database_is_one_for_its_server(invoke):
    with WireDouble(statuses={"crdb_version": VERSION}) as double:
        done = invoke("schema", "apply", "--url", double.url())
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith(" statements of variant crdb_single\n")
        assert any(statement.startswith("CREATE TABLE") for statement in double.sent)
        assert invoke("schema", "check", "--url", double.url()).stdout.splitlines()[-1].startswith("crdb_single: ")


# -- --target


def test_two_names_of_one_database_are_refused(invoke):
    done = invoke("audit", "--target", "cluster", "--url", "postgresql://h/shop")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: --target and --url both name a database")


@pytest.mark.parametrize(
    ("words", "environment", "said"),
    [
        (("--target", "cluster"), {"BENCH_URL": "postgresql://127.0.0.1:1/x"}, "error: the cluster does not run here"),
        ((), {"BENCH_TARGET": "cluster"}, "error: the cluster does not run here"),
        (("--url", "postgresql://127.0.0.1:1/x"), {"BENCH_TARGET": "cluster"}, "error: cannot reach database 'x'"),
        (
            (),
            {"BENCH_URL": "postgresql://127.0.0.1:1/x", "BENCH_TARGET": "cluster"},
            "error: cannot reach database 'x'",
        ),
        (
            (),
            {"BENCH_GATEWAY": "us-east=postgresql://127.0.0.1:1/x", "BENCH_TARGET": "cluster"},
            "error: cannot reach database 'x'",
        ),
        (
            ("--target", "cluster"),
            {"BENCH_GATEWAY": "us-east=postgresql://127.0.0.1:1/x"},
            "error: the cluster does not run here",
        ),
    ],
)
def test_what_is_typed_goes_before_the_environment(invoke, words, environment, said):
    done = invoke("audit", *words, **environment)
    assert done.returncode == 3
    assert done.stderr.startswith(said)


PLACES = TargetOptions(
    None,
    (
        ("us-east", "postgresql://shop:a%40b@h:1/x"),
        ("us-east", "postgresql://h:2/x"),
        ("eu-west", "postgresql://h:3/x"),
    ),
    None,
    None,
)


@pytest.mark.parametrize(
    ("told", "words", "heard"),
    [
        (PLACES, (), PLACES),
        (replace(PLACES, url="postgresql://h:4/x"), (), replace(PLACES, url="postgresql://h:4/x")),
        (PLACES, ("--url", "postgresql://h:4/x"), TargetOptions("postgresql://h:4/x", (), None, None)),
        (PLACES, ("--gateway", "eu-west=postgresql://h:5/x"), replace(PLACES, gateways=(("eu-west", "postgresql://h:5/x"),))),
        (replace(PLACES, gateways=()), (), TargetOptions(None, (), None, None)),
    ],
)  # fmt: skip
def test_a_command_tells_its_children_where_the_database_is(told, words, heard, monkeypatch):
    """By the environment, for others can read a command line; what is typed goes before it."""

    @click.command()
    @target_options
    @click.pass_context
    def listen(context, **given):
        context.obj.append(parse_target(**given))

    found = []
    for name, value in told.environment.items():
        monkeypatch.setenv(name, value)
    listen.main(list(words), obj=found, standalone_mode=False)
    assert found == [heard]


def test_what_is_missing_of_docker_is_named_before_what_compose_says(invoke, docker):
    docker.knows(compose="")
    done = invoke("audit", "--target", "cluster")
    assert (done.returncode, done.stderr.splitlines()[0]) == (3, "error: docker has no compose plugin")


@pytest.fixture
def shop(server: EmbeddedServer) -> Iterator[EmbeddedServer]:
    """A PostgreSQL with the user and the database of the cluster."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE ROLE root LOGIN SUPERUSER PASSWORD 'sesame'")
        # A command of another test may have had this server before, and left its database.
        connection.execute("DROP DATABASE IF EXISTS shop WITH (FORCE)")
        connection.execute("CREATE DATABASE shop OWNER root")
        try:
            yield server
        finally:
            connection.execute("DROP DATABASE shop WITH (FORCE)")
            connection.execute("DROP ROLE root")


@pytest.mark.slow
def test_commands_use_the_gateway_of_each_region_and_record_the_kind(bench, docker, shop, tmp_path):
    docker.knows(before=containers(dict.fromkeys(REGIONS, shop.port)))
    here = {"PATH": docker.path, "BENCH_COMPOSE_FILE": str(FILE), "PGPASSWORD": "sesame", "BENCH_TARGET": "cluster"}
    seeded = bench("seed", "--variant", "pg", "--scale", "tiny", **here)
    assert seeded.returncode == 0, seeded.stderr
    assert bench("schema", "check", **here).stdout == "pg: the database agrees with the schema\n"
    plan = bench("run", "steady", "--dry-run", **here).stdout
    assert f"target    postgresql://root@127.0.0.1:{shop.port}/shop?sslmode=disable" in plan
    assert "emulated distance" not in plan
    words = ("--duration", "4s", "--users", "12", "--out", str(tmp_path / "runs"))
    done = bench("run", "steady", *words, **here)
    assert done.returncode in (0, 1, 4), done.stderr
    [manifest] = (tmp_path / "runs").glob("*/manifest.json")
    kept = json.loads(manifest.read_text())
    assert kept["target"]["kind"] == "cluster"
    assert kept["distance_ms"] is None
    assert list(kept["target"]["gateways"]) == list(REGIONS)
    assert bench("audit", **here).returncode == 0


@pytest.mark.slow
def test_the_cluster_is_seeded_with_regional_tables_unless_told_otherwise(bench, docker, shop):
    docker.knows(before=containers(dict.fromkeys(REGIONS, shop.port)))
    here = {"PATH": docker.path, "BENCH_COMPOSE_FILE": str(FILE), "PGPASSWORD": "sesame"}
    done = bench("seed", "--target", "cluster", "--scale", "tiny", **here)
    assert done.returncode == 3
    assert done.stderr.startswith("error: variant 'crdb_rbr' is for cockroach, the server is postgres")
