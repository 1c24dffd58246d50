"""``bench worker``."""

from contextlib import suppress
from typing import Any

import click

from bench.cli import console
from bench.cli.options import Duration, parse_regions, parse_target

MASTER_PORT = 5557
"""Where Locust's master listens if nobody says otherwise."""


@click.command("worker")
@click.option("--master", required=True, metavar="HOST[:PORT]", help="Where `bench run --bind` listens.")
@click.option("--regions", help="Regions whose shoppers this worker plays, comma-separated (default: any).")
@click.option("--url", envvar="BENCH_URL", help="How the database is reached from here (default: as the run says).")
@click.option(
    "--gateway", "gateways", multiple=True, metavar="REGION=URL", help="A region's own gateway; repeat for each."
)
@click.option("--name", default="", help="Name of this worker in the report (default: by the order of joining).")
@click.option(
    "--wait",
    type=Duration(),
    default="30s",
    show_default=True,
    help="How long to wait for a run that is not there yet.",
)
@click.option("--child", is_flag=True, hidden=True, help="Started by `bench run`, which says the rest by a pipe.")
def command(master: str, **given: Any) -> int:
    """Play a part of a run that was started elsewhere with `bench run --remote-workers`.

    \b
    bench worker --master 10.0.0.5
    bench worker --master 10.0.0.5:5557 --regions eu-west --url postgresql://shop@db-eu/shop

    A password is taken from PGPASSWORD, ~/.pgpass or the URL; the run does not send any.
    """
    # First of all, because it patches the standard library for gevent before psycopg looks at it.
    import bench.load  # noqa: F401
    from bench.cli.serving import Charge, serve
    from bench.team.children import read_charge

    charge = read_charge() if given["child"] else Charge(given["name"], "", {})
    regions = parse_regions(given["regions"]) or ()
    target = parse_target(given["url"], given["gateways"], None, None)
    host, port = parse_address(master)
    tell = (lambda _: None) if given["child"] else console.note
    with suppress(BrokenPipeError):
        return serve((host, port), regions, target, charge, wait_s=given["wait"], tell=tell)
    return 1


def parse_address(text: str, default: int = MASTER_PORT) -> tuple[str, int]:
    """Return host and port of HOST[:PORT] or [IPV6]:PORT; UsageError when it is neither."""
    from bench.errors import UsageError

    bare = text.startswith("[") or text.count(":") <= 1
    host, colon, port = text.rpartition(":") if bare and not text.endswith("]") else (text, "", "")
    if not colon:
        host, port = text, str(default)
    host = host.strip("[]")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(f"'{text}' is not an address", hint="pass e.g. 10.0.0.5 or 10.0.0.5:5557")
    return host, int(port)
