"""What ``bench cluster`` does with a cluster: start it, make its database, check both, and say how to use them."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bench.cli import console
from bench.cli.scenario_files import round_trips_beside
from bench.db.cluster import Fact, cluster_facts, has_license, make_database
from bench.errors import ExitCode, TargetError
from bench.target.cluster import (
    INSECURE,
    SECURE,
    SIZES,
    Planned,
    Running,
    Size,
    certificates_of,
    compose_of,
    find_file,
    planned,
    running,
)
from bench.target.cluster_docker import Compose, DockerCli, require_docker
from bench.target.cluster_rtt import round_trips
from bench.target.cluster_state import NotReady, Patience, await_ready, not_ready, require_room

GRACE = timedelta(days=7)
"""Without a licence a cluster of several nodes works as long, then lets five transactions be open ([C:licensing-faqs])."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What cluster the user wants, and how many seconds it may take to be ready."""

    size: str
    secure: bool
    distance: bool
    wait_s: float


def bring_up(file: str | None, wish: Wish) -> int:
    """Start the cluster and make it ready for use; TargetError before anything starts where something is in the way."""
    size = SIZES[wish.size]
    credentials = SECURE if wish.secure else INSECURE
    compose = compose_of(DockerCli(), find_file(file), credentials, distance=wish.distance)
    memory = require_docker(compose.docker)
    nodes = planned(compose, size)
    now = running(compose)
    _require_same(now, size, credentials, nodes)
    require_room(memory, nodes, size, now)
    # Or Docker would make it, as root's.
    certificates_of(compose.file).mkdir(parents=True, exist_ok=True)
    console.note(f"starting  {len(nodes)} nodes")
    # Without --wait, which does not say why something is not ready: that is found out below.
    compose.require("up", "--detach", "--build", "--quiet-pull", profiles=[size.name], shown=True)
    patience = Patience(wish.wait_s, time.monotonic, time.sleep, _tell)
    now = await_ready(compose, wanted_services(compose, size), patience)
    return _prepare(compose, now, size)


def initialise(file: str | None) -> int:
    """Make the database on the cluster that runs, and check it."""
    compose, now, size = _found(file)
    # Without what it depends on, which runs, and would be made anew where a variable is not as it was.
    compose.require("up", "--detach", "--no-deps", "init", profiles=[size.name], shown=True)
    now = await_ready(compose, ("init",), Patience(180, time.monotonic, time.sleep, _tell))
    return _prepare(compose, now, size)


def show_status(file: str | None) -> int:
    """Print each part of the cluster, and what is wrong with it."""
    compose, now, size = _found(file)
    missing = {one.service: one.reason for one in not_ready(compose, wanted_services(compose, size), now)}
    for node in now.nodes:
        console.out(f"{node.service:<18} {missing.pop(node.service, 'ready')}")
    for service, reason in missing.items():
        console.out(f"{service:<18} {reason}")
    if missing or any(not node.is_up for node in now.nodes):
        return ExitCode.TARGET
    return _checked(compose, now, size)


def wanted_services(compose: Compose, size: Size) -> tuple[str, ...]:
    """Return what must be ready: the nodes, what makes a cluster of them, and what lays the distance."""
    nodes = [node.service for node in planned(compose, size)]
    return (*nodes, "certs", "init", *(name.replace("crdb-", "netem-", 1) for name in nodes))


def _found(file: str | None) -> tuple[Compose, Running, Size]:
    path = find_file(file)
    docker = DockerCli()
    require_docker(docker)
    now = running(Compose(docker, path))
    if now.size is None:
        raise TargetError("the cluster does not run here", hint="start it with `bench cluster up`")
    return compose_of(docker, path, now.credentials, distance=now.has_distance), now, now.size


def _require_same(now: Running, size: Size, credentials: str, nodes: tuple[Planned, ...]) -> None:
    """TargetError where another cluster is here; a part of this one, left by a start that failed, is gone on with."""
    is_part = {node.service for node in now.nodes} <= {node.service for node in nodes}
    if not now.nodes or (is_part and now.size in (size, None) and now.credentials == credentials):
        return
    name = now.size.name if now.size else "unknown"
    kind = "with certificates" if now.has_certificates else "without certificates"
    raise TargetError(
        f"another cluster is here, of size {name} and {kind}",
        hint="end it with `bench cluster down --volumes`, or start the same again",
    )


def _prepare(compose: Compose, now: Running, size: Size) -> int:
    gateways = now.gateways()
    first = gateways[now.regions[0]][0]
    is_new = make_database(first, now.regions, size.goal)
    console.note(f"database  shop {'made' if is_new else 'is there'}, survives the loss of a {size.goal}")
    code = _checked(compose, now, size)
    for line in use_lines(now):
        console.out(line)
    warn_of_license(compose, first)
    if size.name == "smoke":
        console.warning(
            "one node in a region cannot hold the replicas that its rows ask for",
            hint="try things here; measure on --size region or zone",
        )
    return code


def _checked(compose: Compose, now: Running, size: Size) -> int:
    facts = [*cluster_facts(now.gateways(), size.nodes_per_region, size.goal), *_distance_facts(compose, now)]
    wrong = [fact for fact in facts if not fact.holds]
    for fact in wrong:
        console.error_lines(f"{fact.what}: expected {fact.expected}, found {fact.found}")
    console.out(f"checked   {len(facts)} facts, {len(wrong)} wrong")
    return ExitCode.TARGET if wrong else ExitCode.OK


def _distance_facts(compose: Compose, now: Running) -> Iterator[Fact]:
    # Of the file that is mounted into the side-cars, which need not be the one that came with bench.
    matrix = round_trips_beside(compose.file, now.regions) if now.has_distance else None
    for way in round_trips(compose, now, matrix):
        wanted, found = f"{way.wanted_ms:g} ms", "no answer" if way.found_ms is None else f"{way.found_ms:g} ms"
        yield Fact(f"round trip from {way.node} to {way.other}", wanted, wanted if way.agrees else found)


def use_lines(now: Running) -> Iterator[str]:
    """Yield how the cluster is reached, and what to type next."""
    for region, urls in now.gateways().items():
        yield f"gateway   {region:<9} {urls[0]}"
    for region, urls in now.consoles().items():
        yield f"console   {region:<9} {urls[0]}"
    yield "next      bench seed --target cluster, then bench run flash-sale --target cluster"


def warn_of_license(compose: Compose, gateway: str) -> None:
    """Warn where the cluster has no licence, with the time that is left."""
    if has_license(gateway):
        return
    began = _made_at(compose)
    ends = f" from {began + GRACE:%Y-%m-%d %H:%M} UTC on" if began else " from seven days after it was made on"
    console.warning(
        f"without a licence CockroachDB lets only 5 transactions be open at a time{ends}; then a run ends with XXC02",
        hint="set a licence (docs/cluster.md), or begin anew with `bench cluster down --volumes`",
    )


def _made_at(compose: Compose) -> datetime | None:
    """Return when the first node's data was made, which is when the cluster was."""
    said = compose.docker.run(["volume", "inspect", "shopbench-cluster_us-east-1"], compose.environment)
    try:
        return datetime.fromisoformat(json.loads(said.out)[0]["CreatedAt"]).astimezone(UTC)
    except (ValueError, LookupError, TypeError):
        return None


def _tell(missing: tuple[NotReady, ...]) -> None:
    first = missing[0]
    more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
    console.note(f"waiting   {first.service} {first.reason}{more}")
