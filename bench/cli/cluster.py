"""``bench cluster``."""

import sys

import click

from bench.cli import console
from bench.cli.options import Duration, address_options, parse_target
from bench.errors import ExitCode, UsageError

_FILE = click.option(
    "--file", envvar="BENCH_COMPOSE_FILE", help="Compose file (default: docker-compose.cluster.yml in this folder)."
)


@click.group("cluster")
def command() -> None:
    """Start, prepare, check and end the CockroachDB cluster of docker-compose.cluster.yml.

    \b
    bench cluster up                     eight nodes in four regions, and an empty database
    bench seed --target cluster
    bench run flash-sale --target cluster
    """


@command.command("up")
@_FILE
@click.option(
    "--size",
    type=click.Choice(["smoke", "region", "zone"]),
    default="region",
    show_default=True,
    help="4 nodes to try things, 8 that survive a region, or 12 that survive a zone.",
)
@click.option("--secure", is_flag=True, help="With certificates, instead of without passwords.")
@click.option("--no-distance", is_flag=True, help="Lay no delay between the regions.")
@click.option("--wait", type=Duration(), default="5m", show_default=True, help="How long to wait for the nodes.")
def up(file: str | None, size: str, secure: bool, no_distance: bool, wait: float) -> int:
    """Start it, wait until every node is ready, make the database, and check what came of it."""
    from bench.cli.cluster_up import Wish, bring_up

    return bring_up(file, Wish(size, secure, not no_distance, wait))


@command.command("init")
@_FILE
def init(file: str | None) -> int:
    """Make the database on a cluster that runs, and check it; does no harm where both are done already."""
    from bench.cli.cluster_up import initialise

    return initialise(file)


@command.command("status")
@_FILE
def status(file: str | None) -> int:
    """Say of each part whether it is ready, and if not why; exit code 3 when something is not."""
    from bench.cli.cluster_up import show_status

    return show_status(file)


@command.command("logs")
@_FILE
@click.argument("services", nargs=-1, metavar="[NODE]...")
@click.option("--tail", type=click.IntRange(min=1), default=50, show_default=True, help="Lines of each.")
def logs(file: str | None, services: tuple[str, ...], tail: int) -> None:
    """Print the last lines that the nodes wrote, e.g. of crdb-us-east-1."""
    from bench.target.cluster import find_file
    from bench.target.cluster_docker import Compose, DockerCli

    compose = Compose(DockerCli(), find_file(file))
    console.plain(compose.require("logs", "--no-color", "--tail", str(tail), *services))


@command.command("down")
@_FILE
@click.option("--volumes", is_flag=True, help="Remove the nodes' data as well.")
@click.option("--yes", is_flag=True, help="Do not ask before data is removed.")
def down(file: str | None, volumes: bool, yes: bool) -> None:
    """End the cluster; its data is kept for the next `up` unless --volumes."""
    from bench.target.cluster import find_file
    from bench.target.cluster_docker import Compose, DockerCli

    compose = Compose(DockerCli(), find_file(file))
    if volumes and not yes:
        if not sys.stdin.isatty():
            raise UsageError("--volumes removes the data of every node", hint="pass --yes as well")
        click.confirm("Remove the data of every node?", abort=True, err=True)
    more = ["--volumes"] if volumes else []
    compose.require("down", "--remove-orphans", *more, shown=True)
    console.out("the cluster is down, its data is removed" if volumes else "the cluster is down, its data is kept")


@command.command("smoke")
@address_options("CockroachDB to ask, instead of the cluster that runs here.")
@click.option("--json", "as_json", is_flag=True, help="Print the facts as JSON.")
def smoke(url: str | None, gateways: tuple[str, ...], as_json: bool) -> int:
    """Check one by one the facts about CockroachDB that bench relies on; by default on the cluster that runs here."""
    from bench.cli.smoking import smoke as check_facts

    options = parse_target(url, gateways, None, None, None if url or gateways else "cluster")
    return int(check_facts(options.by_region or {"": (options.url or "",)}, as_json) or ExitCode.OK)
