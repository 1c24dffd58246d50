"""Options that several commands share, and what they are parsed into."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.core import ParameterSource

from bench.errors import UsageError
from bench.units import parse_duration, parse_rate

if TYPE_CHECKING:
    from bench.cli.seeding import SeedRequest

Command = TypeVar("Command", bound=Callable[..., Any])
URL, GATEWAYS = "BENCH_URL", "BENCH_GATEWAY"
"""In the environment: a command line is for everyone to read, and these may hold passwords."""


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """How the user named the database."""

    url: str | None
    gateways: tuple[tuple[str, str], ...]
    variant: str | None
    port: int | None
    metrics: tuple[tuple[str, str], ...] = ()
    """Regions and where nodes of theirs export their metrics."""
    is_cluster: bool = False
    """Whether the gateways are those of the compose cluster on this machine."""

    @property
    def first(self) -> str | None:
        """The address of the database, or that of the first gateway; None for the embedded server."""
        return self.url or next((url for _, url in self.gateways), None)

    @property
    def environment(self) -> dict[str, str]:
        """What tells a child process of ours the same addresses; an empty variable counts as none."""
        gateways = (f"{region}={url.replace(' ', '%20')}" for region, url in self.gateways)
        return {URL: self.url or "", GATEWAYS: " ".join(gateways)}

    @property
    def metrics_arguments(self) -> tuple[str, ...]:
        """What tells a child process where nodes export their metrics."""
        return tuple(part for region, address in self.metrics for part in ("--metrics", f"{region}={address}"))

    @property
    def by_region(self) -> dict[str, tuple[str, ...]]:
        """The gateways of each region, in the order in which they were named."""
        found: dict[str, tuple[str, ...]] = {}
        for region, url in self.gateways:
            found[region] = (*found.get(region, ()), url)
        return found


def _url(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    """Return the URL; UsageError for an option in its place, which click would take for it."""
    if value is not None and value.startswith("-"):
        raise UsageError(
            f"--url is followed by '{value}', not by a URL",
            hint="pass e.g. --url postgresql://shop@localhost:5432/shop",
        )
    return value


def address_options(what: str) -> Callable[[Command], Command]:
    """Return what adds the options that name a database by its address; ``what`` is the help of ``--url``."""
    url = click.option("--url", envvar=URL, callback=_url, help=what)
    gateway = click.option(
        "--gateway",
        "gateways",
        multiple=True,
        metavar="REGION=URL",
        envvar=GATEWAYS,
        help="A region's own gateway; repeat for each.",
    )
    return lambda command: url(gateway(command))


def target_options(command: Command) -> Command:
    """Add the options that name the database."""
    for option in reversed(
        (
            address_options("Database to use instead of the embedded server."),
            click.option(
                "--target",
                type=click.Choice(["embedded", "cluster"]),
                envvar="BENCH_TARGET",
                help="The embedded server (default), or the cluster that `bench cluster up` started.",
            ),
            click.option(
                "--variant",
                help="Schema variant (default: what the database holds; in an empty one pg, on CockroachDB crdb_single, "
                "with --target cluster crdb_rbr).",
            ),
            click.option(
                "--port", type=click.IntRange(1, 65535), envvar="BENCH_PORT", help="Port of the embedded server."
            ),
        )
    ):
        command = option(command)
    return command


def parse_target(
    url: str | None, gateways: tuple[str, ...], variant: str | None, port: int | None, target: str | None = None
) -> TargetOptions:
    """Return the options that name the database; UsageError for a gateway that is not REGION=URL.

    TargetError where the target is the cluster, and it does not run here.
    """
    if is_typed("url") and not is_typed("gateways"):
        gateways = ()
    if target is not None:
        from bench.cli.cluster_target import cluster_here, is_in_force

        if is_in_force(url, gateways):
            if target == "embedded":
                return TargetOptions(None, (), variant, port)
            here = cluster_here()
            return TargetOptions(None, here.gateways, variant, port, here.metrics, is_cluster=True)
    pairs = []
    for text in gateways:
        region, equals, address = text.partition("=")
        if not equals or not region or "://" not in address:
            from bench.db.connection import redact

            raise UsageError(
                f"'{redact(text)}' is not a gateway", hint="pass --gateway us-east=postgresql://host:26257/shop"
            )
        pairs.append((region, address))
    return TargetOptions(url, tuple(pairs), variant, port)


def is_typed(option: str) -> bool:
    """Whether an option of the command was given on its command line, and not by the environment."""
    context = click.get_current_context(silent=True)
    return context is not None and context.get_parameter_source(option) is ParameterSource.COMMANDLINE


def metrics_option(command: Command) -> Command:
    """Add the option that says where nodes export their metrics."""
    return click.option(
        "--metrics",
        multiple=True,
        metavar="REGION=URL",
        help="Where a node of CockroachDB exports its metrics (http://host:8080); repeat for each.",
    )(command)


def parse_metrics(texts: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Return regions and addresses of nodes' metrics; UsageError for one that is not REGION=http://host:port."""
    pairs = []
    for text in texts:
        region, equals, address = text.partition("=")
        if not equals or not region or not address.startswith(("http://", "https://")) or "@" in address:
            raise UsageError(
                f"'{text.rpartition('@')[2]}' is not where a node exports its metrics",
                hint="pass --metrics us-east=http://host:8080",
            )
        pairs.append((region, address))
    return tuple(pairs)


def parse_regions(text: str | None) -> tuple[str, ...] | None:
    """Return the regions of a comma-separated list, or None."""
    if text is None:
        return None
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    if not names:
        raise UsageError(f"'{text}' is not a list of regions", hint="pass e.g. --regions us-east,eu-west")
    twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
    if twice:
        raise UsageError(f"'{twice[0]}' is twice in --regions {text}", hint="name each region once, the primary first")
    return names


class Duration(click.ParamType[float]):
    """Seconds, from ``90s`` or ``1m30s``."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds above zero."""
        if isinstance(value, float):
            return value
        try:
            seconds = parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if seconds <= 0:
            self.fail(f"'{value}' is not longer than zero", param, ctx)
        return seconds


class Rate(click.ParamType[float]):
    """Arrivals per second, from ``40/s`` or ``900/min``."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return a rate above zero."""
        if isinstance(value, float):
            return value
        try:
            rate = parse_rate(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if rate <= 0:
            self.fail(f"'{value}' is not above zero", param, ctx)
        return rate


def default_as_of() -> date:
    """Return the first day of this month (UTC): data stays the same, and current, for a month."""
    return datetime.now(UTC).date().replace(day=1)


def parse_as_of(text: str | None) -> date:
    """Return the day that seeded data ends before; UsageError when it is not one."""
    if text is None:
        return default_as_of()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"'{text}' is not a day", hint="pass e.g. --as-of 2026-11-01") from None


def default_processes() -> int:
    """Return how many processes make rows: one keeps two cores of a server busy, and more than four any disk."""
    return max(1, min(4, (os.cpu_count() or 1) // 2))


def load_arguments(request: "SeedRequest", variant: str) -> list[str]:
    """Return the command line of `bench seed` that does what a request says, going on where a load has begun."""
    spec, how = request.spec, request.how
    arguments = ["seed", "--resume", "--variant", variant, "--scale", spec.scale, "--seed", str(spec.seed)]
    arguments += ["--as-of", spec.as_of.isoformat(), "--regions", ",".join(spec.regions), "--zipf", repr(spec.zipf)]
    arguments += ["--processes", str(how.processes), "--connections", str(how.connections)]
    return arguments if how.tables is None else [*arguments, "--only", ",".join(sorted(how.tables))]


def parse_settings(pairs: tuple[str, ...], strategy: str | None) -> dict[str, str]:
    """Return the workload's settings given as KEY=VALUE; UsageError for what is not one."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"'{pair}' is not a setting", hint="pass e.g. --set hot_items=5")
        found[key.strip()] = value.strip()
    return found if strategy is None else {**found, "strategy": strategy}
