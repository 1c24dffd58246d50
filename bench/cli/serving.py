"""A worker process from joining to its end."""

import os
import platform
import socket
import time
from collections.abc import Callable

import gevent

from bench import __version__
from bench.cli.merging import pack
from bench.cli.options import TargetOptions
from bench.cli.working import prepare_part
from bench.errors import ExitCode, TargetError
from bench.team.children import Charge, watch_parent
from bench.team.messages import PROTOCOL, Hello
from bench.team.worker import Worker

__all__ = ["Charge", "serve"]

_KNOCK_EVERY_S = 0.25
_CONNECT_WITHIN_S = 5.0


def serve(
    address: tuple[str, int],
    regions: tuple[str, ...],
    own: TargetOptions,
    charge: Charge,
    *,
    wait_s: float,
    tell: Callable[[str], None],
) -> int:
    """Play one part of the run that is coordinated at an address; return the exit code."""
    host, port = address
    if charge.token:
        # Whatever this process is doing, there is nobody left to do it for.
        watch_parent(lambda: os._exit(ExitCode.INTERRUPTED))
    await_listener(host, port, wait_s)
    hello = Hello(PROTOCOL, __version__, charge.name, f"{platform.node()}:{os.getpid()}", regions, charge.token)
    worker = Worker(host, port, hello, lambda part: prepare_part(part, own, charge.gateways), pack, tell)
    ended = worker.serve()
    tell(f"ended     {ended.status}{f': {ended.detail}' if ended.detail else ''}")
    if ended.error is not None:
        raise ended.error
    return ExitCode.TARGET if ended.status == "target_lost" else ExitCode.OK


def await_listener(host: str, port: int, wait_s: float) -> None:
    """Return once something listens on an address; TargetError when nothing does for so long."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            socket.create_connection((host, port), timeout=_CONNECT_WITHIN_S).close()
        except OSError as error:
            if time.monotonic() > deadline:
                raise TargetError(
                    f"nothing listens on {host}:{port}",
                    cause=(error.strerror or str(error)).lower(),
                    hint="start `bench run … --remote-workers N --bind HOST:PORT` there",
                ) from None
        else:
            return
        gevent.sleep(_KNOCK_EVERY_S)
