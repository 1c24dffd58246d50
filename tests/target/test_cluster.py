"""What Docker says of the cluster, read: addresses, readiness with reasons, and what stands in the way of a start."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from bench.cli.scenario_files import round_trips_beside
from bench.errors import TargetError
from bench.target.cluster import NODE_BYTES, SIZES, Running, compose_of, planned, running
from bench.target.cluster_docker import Compose, DockerCli, require_docker
from bench.target.cluster_rtt import round_trips
from bench.target.cluster_state import Patience, await_ready, not_ready, require_room
from tests.target.docker_double import FILE, REGIONS, DockerDouble, container, containers, resolved_services

PORTS = {region: 26257 + number for number, region in enumerate(REGIONS)}
WANTED = ("crdb-us-east-1", "certs", "init", "netem-us-east-1")


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DockerDouble:
    double = DockerDouble(tmp_path / "bin")
    monkeypatch.setenv("PATH", double.path)
    return double


@pytest.fixture
def compose() -> Compose:
    return Compose(DockerCli(), FILE)


def refused(work, *arguments) -> list[str]:
    with pytest.raises(TargetError) as caught:
        work(*arguments)
    error = caught.value
    return [error.message, error.cause or "", error.hint or ""]


# -- what is missing of Docker


def test_docker_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    message, _, hint = refused(require_docker, DockerCli())
    assert message == "there is no `docker` on PATH"
    assert "--url" in hint


@pytest.mark.parametrize("code", [1, 0])
def test_the_engine_does_not_run(docker, code):
    """`docker info` of some versions ends with 0 all the same (docker/cli#5900)."""
    docker.knows(engine=False, info_code=code)
    message, cause, hint = refused(require_docker, DockerCli())
    assert message == "Docker's engine does not answer"
    assert "Is the docker daemon running?" in cause
    assert hint.startswith("start Docker")


@pytest.mark.parametrize(
    ("compose", "said"),
    [
        ("", "docker has no compose plugin"),
        ("2.17.3", "docker compose is 2.17.3, too old for the cluster's file"),
        ("unknown", "docker compose is unknown, too old for the cluster's file"),
    ],
)
def test_the_plugin_is_missing_or_too_old(docker, compose, said):
    docker.knows(compose=compose)
    assert refused(require_docker, DockerCli())[0] == said


@pytest.mark.parametrize("version", ["2.24.0", "v2.30.3-desktop.1", "5.0.2"])
def test_a_plugin_that_will_do(docker, version):
    docker.knows(compose=version, memory=123)
    assert require_docker(DockerCli()) == 123


# -- addresses


@pytest.mark.parametrize("is_old", [False, True])
def test_gateways_by_region_the_primary_first_in_both_forms_of_ps(docker, compose, is_old):
    # Neither the order of the list nor that of the ports is the regions'.
    ports = dict(zip(REGIONS, (26300, 26200, 26290, 26210)))
    docker.knows(before=containers(ports)[::-1], is_old=is_old)
    now = running(compose)
    assert now.regions == REGIONS
    assert now.gateways() == {
        region: (f"postgresql://root@127.0.0.1:{ports[region]}/shop?sslmode=disable",) for region in REGIONS
    }
    assert now.consoles()["us-west"][0] == "http://127.0.0.1:8081"
    assert now.size == SIZES["smoke"]
    assert now.has_distance


def test_with_certificates_the_gateways_prove_who_they_are(docker, monkeypatch):
    docker.knows(before=containers(PORTS, 3, "--certs-dir=/certs", "off"))
    monkeypatch.setenv("CRDB_CLIENT_CERTS", "/certs of/mine")
    now = running(Compose(DockerCli(), FILE))
    parts = conninfo_to_dict(now.gateways()["eu-west"][0])
    assert parts == {
        **{"user": "root", "host": "127.0.0.1", "port": "26259", "dbname": "shop", "sslmode": "verify-full"},
        "sslrootcert": "/certs of/mine/ca.crt",
        "sslcert": "/certs of/mine/client.root.crt",
        "sslkey": "/certs of/mine/client.root.key",
    }
    # Those of the second and third nodes are where the host has put them.
    assert now.consoles()["us-east"] == tuple(f"https://127.0.0.1:{port}" for port in (8080, 32021, 32031))
    assert (now.size, now.has_distance) == (SIZES["zone"], False)


def test_nothing_runs(docker, compose):
    now = running(compose)
    assert (now.nodes, now.gateways(), now.size) == ((), {}, None)


def test_half_a_cluster_has_no_size(docker, compose):
    docker.knows(before=[one for one in containers(PORTS, 2) if one["Service"] != "crdb-eu-west-2"])
    assert running(compose).size is None


def test_the_variables_of_the_file(docker, monkeypatch):
    monkeypatch.delenv("CRDB_CLIENT_CERTS", raising=False)
    compose_of(DockerCli(), FILE, "--certs-dir=/certs", distance=False).run("ps")
    words, given = docker.asked()[-1]
    assert words[:3] == ["compose", "--file", str(FILE)]
    # All profiles: compose would not see the containers of those that are not named.
    assert words[3:] == [*(word for name in SIZES for word in ("--profile", name)), "--profile", "load", "ps"]
    assert given["CRDB_CREDENTIALS"] == "--certs-dir=/certs"
    assert (given["CRDB_SSLMODE"], given["CRDB_NETEM"]) == ("verify-full", "off")
    assert given["CRDB_CLIENT_CERTS"] == str(FILE.parent / ".cluster-certs")


# -- before a start


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def free_ports() -> dict[str, int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(8)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    names = [f"CRDB_{kind}_PORT_{region.upper().replace('-', '_')}" for kind in ("SQL", "HTTP") for region in REGIONS]
    return dict(zip(names, ports))


@pytest.mark.parametrize("size", [SIZES["smoke"], SIZES["zone"]], ids=lambda size: size.name)
def test_each_node_needs_memory(docker, compose, size):
    docker.knows(services=resolved_services(free_ports()))
    nodes = planned(compose, size)
    assert len(nodes) == 4 * size.nodes_per_region
    require_room(len(nodes) * NODE_BYTES, nodes, size, Running(()))
    message, _, hint = refused(require_room, len(nodes) * NODE_BYTES - 1, nodes, size, Running(()))
    assert message.startswith(f"{len(nodes)} nodes need")
    assert ("--size smoke" in hint) == (size.name != "smoke")


@pytest.mark.parametrize("variable", ["CRDB_SQL_PORT_EU_WEST", "CRDB_HTTP_PORT_US_EAST"])
def test_a_port_is_somebody_elses(docker, compose, taken, variable):
    docker.knows(services=resolved_services({**free_ports(), variable: taken}))
    message, cause, hint = refused(
        require_room, 64 << 30, planned(compose, SIZES["smoke"]), SIZES["smoke"], Running(())
    )
    assert message == f"port {taken} of this machine is taken"
    assert cause.endswith(f"is to listen on {taken}")
    assert f"set {variable} to a free one" in hint


def test_a_port_of_the_cluster_itself_is_no_hindrance(docker, compose, taken):
    ports = {**free_ports(), "CRDB_SQL_PORT_US_EAST": taken}
    docker.knows(services=resolved_services(ports), before=containers({**PORTS, "us-east": taken}))
    require_room(64 << 30, planned(compose, SIZES["smoke"]), SIZES["smoke"], running(compose))


# -- readiness


def with_node(**changes) -> list[dict]:
    return [{**one, **changes} if one["Service"] == "crdb-us-east-1" else one for one in containers(PORTS)]


CHECK = '{\n "error": "node is waiting for cluster initialization"\n}'


@pytest.mark.parametrize(
    ("listed", "reason", "is_final"),
    [
        (with_node(), None, False),
        (containers(PORTS)[1:], "certs has no container", False),
        (
            with_node(Health="starting"),
            'crdb-us-east-1 is starting: { "error": "node is waiting for cluster initialization" }',
            False,
        ),
        (with_node(Health="unhealthy"), "crdb-us-east-1 is unhealthy", False),
        (with_node(State="created"), "crdb-us-east-1 is created", False),
        (with_node(State="exited", ExitCode=137), "crdb-us-east-1 ended with code 137: F260101 out of disk", True),
        (
            [container("init", "exited", code=1), *containers(PORTS)[:1], *containers(PORTS)[2:]],
            "init failed: cannot dial server",
            True,
        ),
        (
            [container("init", "running"), *containers(PORTS)[:1], *containers(PORTS)[2:]],
            "init has not ended yet",
            False,
        ),
        (
            [one for one in containers(PORTS) if one["Service"] != "netem-us-east-1"]
            + [container("netem-us-east-1", "exited", code=2)],
            "netem-us-east-1 ended with code 2: Error: Specified qdisc kind is unknown.",
            True,
        ),
    ],
)
def test_each_part_says_why_it_is_not_ready(docker, compose, listed, reason, is_final):
    docker.knows(
        before=listed,
        health={"shopbench-cluster-crdb-us-east-1-1": {"Log": [{"Output": "old"}, {"Output": CHECK}]}},
        logs={
            "crdb-us-east-1": "I260101 starting\nF260101 out of disk\n",
            "init": "cannot dial server\n",
            "netem-us-east-1": "us-east to us-west: 32.000 ms one way\nError: Specified qdisc kind is unknown.\n",
        },
    )
    found = list(not_ready(compose, WANTED, running(compose)))
    assert [f"{one.service} {one.reason}"[: len(reason or "")] for one in found] == ([reason] if reason else [])
    assert [one.is_final for one in found] == ([is_final] if reason else [])


class Clock:
    """Seconds that pass only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.told: list[str] = []

    def patience(self, limit_s: float = 60.0) -> Patience:
        return Patience(limit_s, lambda: self.now, self.sleep, lambda missing: self.told.append(missing[0].reason))

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_waiting_ends_when_all_is_ready_and_tells_what_changes(docker, compose):
    starting, created = with_node(Health="starting"), with_node(State="created", Health="")
    docker.knows(after=[created, created, starting, containers(PORTS)])
    compose.run("up")
    clock = Clock()
    now = await_ready(compose, WANTED, clock.patience())
    assert now.nodes[0].is_up
    assert (clock.now, clock.told) == (6.0, ["is created", "is starting: its health cannot be read"])


def test_waiting_ends_at_once_where_something_has_ended(docker, compose):
    docker.knows(before=with_node(State="exited", ExitCode=1))
    clock = Clock()
    message, _, hint = refused(await_ready, compose, WANTED, clock.patience())
    assert message == "the cluster is not ready after 0 ms\n  crdb-us-east-1 ended with code 1: it left no log"
    assert "bench cluster logs crdb-us-east-1" in hint
    assert clock.now == 0


def test_a_kernel_without_netem_has_a_hint_of_its_own(docker, compose):
    listed = [
        {**one, "State": "exited", "ExitCode": 2} if one["Service"].startswith("netem") else one
        for one in containers(PORTS)
    ]
    docker.knows(before=listed)
    _, _, hint = refused(await_ready, compose, WANTED, Clock().patience())
    assert hint == "load the kernel's modules sch_netem, sch_htb and cls_u32, or pass --no-distance"


def test_waiting_has_a_limit_and_names_each_part(docker, compose):
    docker.knows(before=[one for one in with_node(Health="starting") if one["Service"] != "init"])
    clock = Clock()
    message, *_ = refused(await_ready, compose, WANTED, clock.patience(3))
    assert [line.split()[0] for line in message.splitlines()[1:]] == ["crdb-us-east-1", "init"]
    assert clock.now == 4


def test_compose_fails_with_its_last_words(docker, compose):
    docker.knows(up_code=1)
    message, cause, hint = refused(compose.require, "up", "--detach")
    assert (message, cause) == ("`docker compose up` failed", "network wan created")
    assert "overlap, export CRDB_NET" in hint


# -- distance


def test_round_trips_of_every_node_are_held_against_the_matrix(docker, compose):
    matrix = round_trips_beside(FILE)
    docker.knows(
        before=containers(PORTS, 2),
        round_trips={
            "netem-us-east-1": "us-west 64.3\neu-west 91.2\nasia-pac unreachable\n",
            "netem-us-west-1": "us-east 63.1\n",
            "netem-us-west-2": "us-east 32.1\n",
        },
    )
    found = {(way.node, way.other): way for way in round_trips(compose, running(compose), matrix)}
    assert len(found) == 24
    near, far, lost = (found["crdb-us-east-1", other] for other in REGIONS[1:])
    assert (near.wanted_ms, near.found_ms, near.agrees) == (64, 64.3, True)
    # 5 % of 86 ms and one more is 5.3: 91.2 is just within, 91.4 is not.
    assert far.agrees
    assert not replace(far, found_ms=91.4).agrees
    assert (lost.found_ms, lost.agrees) == (None, False)
    assert found["crdb-us-west-1", "us-east"].agrees
    assert not found["crdb-us-west-1", "eu-west"].agrees
    # Nothing is laid at the second node, which the first one's figures do not show.
    assert not found["crdb-us-west-2", "us-east"].agrees
    asked = [words[-6:] for words, _ in docker.asked() if "exec" in words]
    assert sorted(asked) == sorted(
        ["exec", "-T", f"netem-{region}-{number}", "sh", "/netem.sh", "measure"]
        for region in REGIONS
        for number in (1, 2)
    )


def test_without_distance_none_is_wanted(docker, compose):
    docker.knows(
        before=containers(PORTS), round_trips={"netem-us-east-1": "us-west 0.12\neu-west 64.0\nasia-pac 0.2\n"}
    )
    ways = round_trips(compose, running(compose), None)
    found = {way.other: way.agrees for way in ways if way.node == "crdb-us-east-1"}
    assert found == {"us-west": True, "eu-west": False, "asia-pac": True}


@pytest.mark.parametrize(
    ("security", "credentials", "owner"),
    [
        ("[name=seccomp,profile=builtin]", "--certs-dir=/certs", str(os.getuid())),
        ("[name=seccomp,profile=builtin name=rootless]", "--certs-dir=/certs", "0"),
        ("[name=seccomp,profile=builtin name=rootless]", "--insecure", str(os.getuid())),
    ],
)
def test_the_clients_key_belongs_to_this_user(docker, security, credentials, owner):
    """In a rootless engine this user is root of the containers; without certificates nobody has to be asked."""
    docker.knows(security=security)
    assert compose_of(DockerCli(), FILE, credentials).environment["CRDB_UID"] == owner
    assert bool(docker.asked()) == (credentials != "--insecure")
