"""Connecting users: each to its region's gateways in turn, with the scenario's settings."""

from collections.abc import Callable
from itertools import cycle

from bench.db.connection import Connection, DriverError, connect
from bench.db.dialects import dialect_of
from bench.errors import BenchError, TargetError
from bench.scenario.model import Scenario
from bench.target.base import Target


def application_name(run_id: str, region: str) -> str:
    """Return the name that a region's sessions go by at the server; on CockroachDB the phase follows."""
    return f"shopbench/{run_id}/{region}"


def gateway_connector(
    target: Target, region: str, scenario: Scenario, run_id: str, turn: int = 0
) -> Callable[[], Connection]:
    """Return a function that connects to the region's next gateway, from number ``turn`` on, with the scenario's settings."""
    urls = target.gateways[region]
    options = [f"statement_timeout={int(scenario.statement_timeout * 1000)}"]
    if scenario.isolation:
        options.append(f"default_transaction_isolation={scenario.isolation}")
    application = application_name(run_id, region)
    start = turn % len(urls)
    in_turn = cycle((*urls[start:], *urls[:start]))

    def connector() -> Connection:
        connection = connect(next(in_turn), application=application, options=options)
        if target.checks_gateway:
            _check_gateway(connection, region)
        return connection

    return connector


def _check_gateway(connection: Connection, region: str) -> None:
    try:
        found = dialect_of(connection).gateway_region(connection)
    except DriverError:
        connection.close()
        raise
    if found is not None and found != region:
        connection.close()
        raise TargetError(
            f"the gateway given for {region} answers from {found}",
            hint=f"pass --gateway {region}=URL of a node in {region}",
        )


def connect_error(error: BaseException, users: int) -> BaseException:
    """Return what to raise when so many users could not all connect: the driver's error becomes a TargetError."""
    if isinstance(error, BenchError) or not hasattr(error, "sqlstate"):
        return error
    return TargetError(
        f"not all of {users} users could connect",
        cause=str(error).splitlines()[-1],
        hint="raise the server's connection limit, or pass a smaller --users",
    )
