"""The cluster of ``docker-compose.cluster.yml``: its nodes as the file has them, and as Docker runs them.

May import ``errors`` and its neighbour ``cluster_docker``.  The file is never read here: ``docker compose config`` and
``docker compose ps`` say what is in it, so that there is one reader of it.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from bench.errors import TargetError, UsageError
from bench.target.cluster_docker import Compose, Docker

FILE_NAME = "docker-compose.cluster.yml"
DATABASE = "shop"
Goal = Literal["zone", "region"]
INSECURE, SECURE = "--insecure", "--certs-dir=/certs"
NODE_BYTES = 1 << 30
"""What a node of the file's cache sizes needs: 256 MiB of cache, as much for SQL, and the rest of the process."""
SQL_PORT, HTTP_PORT = 26257, 8080
_REGION, _ORDER, _CREDENTIALS, _NETEM = (f"shopbench.{word}" for word in ("region", "order", "credentials", "netem"))


@dataclass(frozen=True, slots=True)
class Size:
    """A size of the cluster, which is a profile of the file: what its database is to survive."""

    name: str
    nodes_per_region: int
    goal: Goal


SIZES = {size.name: size for size in (Size("smoke", 1, "zone"), Size("region", 2, "region"), Size("zone", 3, "zone"))}


@dataclass(frozen=True, slots=True)
class Container:
    """One container of the project, as ``docker compose ps`` lists it; ``ports`` are the host's by the container's."""

    service: str
    state: str
    health: str
    exit_code: int
    name: str
    labels: Mapping[str, str]
    ports: Mapping[int, int]

    @property
    def region(self) -> str:
        """The region of a node; empty for what is none."""
        return self.labels.get(_REGION, "")

    @property
    def is_up(self) -> bool:
        """Whether it runs and says of itself that it is ready."""
        return self.state == "running" and self.health in ("", "healthy")


@dataclass(frozen=True, slots=True)
class Planned:
    """A service of the file for a size: ``ports`` are those that it wants on the host by number."""

    service: str
    region: str
    ports: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Running:
    """The containers of the project at one moment."""

    containers: tuple[Container, ...]
    certificates: Path = field(default_factory=Path)

    @property
    def nodes(self) -> tuple[Container, ...]:
        """Those that are nodes of the database, those of the primary region first."""
        found = [one for one in self.containers if one.region]
        return tuple(sorted(found, key=lambda one: (one.labels.get(_ORDER, ""), one.service)))

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions of its nodes, the primary first."""
        return tuple(dict.fromkeys(node.region for node in self.nodes))

    @property
    def has_distance(self) -> bool:
        """Whether the side-cars were told to lay delays."""
        return any(one.labels.get(_NETEM) == "on" for one in self.containers)

    @property
    def credentials(self) -> str:
        """``--insecure``, or where the nodes have their certificates."""
        return next((node.labels[_CREDENTIALS] for node in self.nodes if _CREDENTIALS in node.labels), INSECURE)

    @property
    def has_certificates(self) -> bool:
        """Whether its nodes prove who they are, and ask clients to."""
        return self.credentials != INSECURE

    @property
    def size(self) -> Size | None:
        """The size that is running; None where there are no nodes, or not as many in each region."""
        counts = {sum(one.region == region for one in self.nodes) for region in self.regions}
        return next((size for size in SIZES.values() if counts == {size.nodes_per_region}), None)

    def gateways(self) -> dict[str, tuple[str, ...]]:
        """Return the URLs of the nodes with a port on this host by region, the primary region first."""
        found: dict[str, tuple[str, ...]] = {}
        for node in self.nodes:
            if SQL_PORT in node.ports:
                found[node.region] = (*found.get(node.region, ()), self._url(node.ports[SQL_PORT]))
        return found

    def consoles(self) -> dict[str, tuple[str, ...]]:
        """Return the addresses of the nodes' DB Consoles by region, where their metrics are too."""
        scheme = "https" if self.has_certificates else "http"
        found: dict[str, tuple[str, ...]] = {}
        for node in self.nodes:
            if HTTP_PORT in node.ports:
                found[node.region] = (*found.get(node.region, ()), f"{scheme}://127.0.0.1:{node.ports[HTTP_PORT]}")
        return found

    def _url(self, port: int) -> str:
        place = f"postgresql://root@127.0.0.1:{port}/{DATABASE}"
        if not self.has_certificates:
            return f"{place}?sslmode=disable"
        files = {"sslrootcert": "ca.crt", "sslcert": "client.root.crt", "sslkey": "client.root.key"}
        given = "&".join(f"{key}={quote(str(self.certificates / name), safe='/')}" for key, name in files.items())
        return f"{place}?sslmode=verify-full&{given}"


def find_file(given: str | None) -> Path:
    """Return the compose file, by default the one in this folder; UsageError where there is none."""
    path = Path(given or FILE_NAME)
    if not path.is_file():
        hint = f"run this in the checkout of shopbench, or pass --file PATH/{FILE_NAME}"
        raise UsageError(f"there is no '{path}' here", hint=hint)
    return path.resolve()


def certificates_of(file: Path) -> Path:
    """Return the host's folder for the client's certificates, as the file has it."""
    return Path(os.environ.get("CRDB_CLIENT_CERTS") or file.parent / ".cluster-certs").absolute()


def compose_of(docker: Docker, file: Path, credentials: str = INSECURE, *, distance: bool = True) -> Compose:
    """Return the file with the variables for a way to prove who one is, with or without distance."""
    environment = {
        "CRDB_CREDENTIALS": credentials,
        "CRDB_SSLMODE": "disable" if credentials == INSECURE else "verify-full",
        "CRDB_CLIENT_CERTS": str(certificates_of(file)),
        "CRDB_UID": _owner(docker, credentials),
    }
    return Compose(docker, file, environment if distance else {**environment, "CRDB_NETEM": "off"})


def _owner(docker: Docker, credentials: str) -> str:
    """Return the user, as a container numbers it, whom the client's key belongs to on this machine."""
    if credentials != INSECURE and "rootless" in docker.run(["info", "--format", "{{.SecurityOptions}}"], {}).out:
        return "0"  # there the user is root in a container, and every other number is of nobody here
    return str(os.getuid())


def planned(compose: Compose, size: Size) -> tuple[Planned, ...]:
    """Return the nodes of a size with their ports, as ``docker compose config`` resolves the file."""
    services = json.loads(compose.require("config", "--format", "json", profiles=[size.name]))["services"]
    return tuple(
        Planned(name, service["labels"][_REGION], tuple(_fixed_ports(service)))
        for name, service in services.items()
        if _REGION in (service.get("labels") or {})
    )


def _fixed_ports(service: dict[str, Any]) -> Iterator[int]:
    """Yield the ports of the host that a service asks for; others the host chooses."""
    for port in service.get("ports") or ():
        if port.get("published"):
            yield int(port["published"])


def running(compose: Compose) -> Running:
    """Return the containers of the project, also those that have ended."""
    said = compose.require("ps", "--all", "--format", "json")
    return Running(tuple(map(_container, _documents(said))), certificates_of(compose.file))


def running_here(docker: Docker, file: Path) -> Running:
    """Return the cluster that runs; TargetError where none does."""
    found = running(Compose(docker, file))
    if not found.gateways():
        raise TargetError("the cluster does not run here", hint="start it with `bench cluster up`")
    return found


def _documents(text: str) -> Sequence[dict[str, Any]]:
    """Return the objects of JSON Lines, as newer versions of the plugin write them, or of one array (before 2.21)."""
    stripped = text.strip()
    if stripped.startswith("["):
        return list(json.loads(stripped))
    return [json.loads(line) for line in stripped.splitlines() if line]


def _container(document: Mapping[str, Any]) -> Container:
    labels = document.get("Labels") or ""
    pairs = labels.items() if isinstance(labels, dict) else (part.partition("=")[::2] for part in labels.split(","))
    return Container(
        service=document["Service"],
        state=document["State"],
        health=document.get("Health") or "",
        exit_code=int(document.get("ExitCode") or 0),
        name=document["Name"],
        labels=dict(pairs),
        ports={
            int(p["TargetPort"]): int(p["PublishedPort"])
            for p in document.get("Publishers") or ()
            if p["PublishedPort"]
        },
    )
