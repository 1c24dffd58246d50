"""``--target``: which database it names, beside ``--url`` and ``--gateway``."""

import os
from dataclasses import dataclass
from urllib.parse import quote

from bench.cli.options import is_typed
from bench.db.observe_nodes import AUTHORITY
from bench.errors import UsageError
from bench.target.cluster import find_file, running_here
from bench.target.cluster_docker import DockerCli

FILE_VARIABLE = "BENCH_COMPOSE_FILE"


@dataclass(frozen=True, slots=True)
class Named:
    """Addresses by region, and where the nodes export their metrics."""

    gateways: tuple[tuple[str, str], ...]
    metrics: tuple[tuple[str, str], ...]


def is_in_force(url: str | None, gateways: tuple[str, ...]) -> bool:
    """Whether ``--target`` decides, and not ``--url`` or ``--gateway``; UsageError where both are typed.

    What is typed goes before the environment, and there BENCH_URL and BENCH_GATEWAY before BENCH_TARGET: by them a command
    tells its children.
    """
    if not url and not gateways:
        return True
    if not is_typed("target"):
        return False
    typed = [option for option, name in (("--gateway", "gateways"), ("--url", "url")) if is_typed(name)]
    if typed:
        raise UsageError(f"--target and {typed[0]} both name a database", hint="give one of them")
    return True


def cluster_here() -> Named:
    """Return how the cluster of the compose file is reached from this machine; TargetError where it does not run."""
    found = running_here(DockerCli(), find_file(os.environ.get(FILE_VARIABLE)))
    gateways = tuple((region, url) for region, urls in found.gateways().items() for url in urls)
    trust = f"?{AUTHORITY}={quote(str(found.certificates / 'ca.crt'))}" if found.has_certificates else ""
    return Named(gateways, tuple((region, url + trust) for region, urls in found.consoles().items() for url in urls))
