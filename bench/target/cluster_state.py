"""What stands in the way of starting the cluster, and why a part of it is not ready yet.

May import ``errors``, ``units`` and its neighbours.
"""

import errno
import json
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.errors import TargetError
from bench.target.cluster import NODE_BYTES, Container, Planned, Running, Size, running
from bench.target.cluster_docker import Compose
from bench.units import format_bytes, format_duration

_POLL_S = 2.0
_ONE_SHOT = ("init", "certs")
_LOG_LINES = "5"


@dataclass(frozen=True, slots=True)
class NotReady:
    """A part of the cluster that is not as it should be, and why; ``is_final`` when waiting will not change that."""

    service: str
    reason: str
    is_final: bool = False


def require_room(memory: int, nodes: tuple[Planned, ...], size: Size, now: Running) -> None:
    """TargetError when Docker has too little memory for the size, or a port is somebody else's."""
    needed = len(nodes) * NODE_BYTES
    if memory < needed:
        raise TargetError(
            f"{len(nodes)} nodes need {format_bytes(needed)} of memory, and Docker has {format_bytes(memory)}",
            hint="give Docker more memory, or pass --size smoke" if size.name != "smoke" else "give Docker more memory",
        )
    ours = {port for one in now.containers if one.state == "running" for port in one.ports.values()}
    taken = [(node, port) for node in nodes for port in node.ports if port not in ours and _is_taken(port)]
    if taken:
        listed = ", ".join(str(port) for _, port in taken)
        node, port = taken[0]
        variable = f"{'SQL' if port == node.ports[0] else 'HTTP'}_PORT_{node.region.upper().replace('-', '_')}"
        raise TargetError(
            f"port {listed} of this machine is taken"
            if len(taken) == 1
            else f"ports {listed} of this machine are taken",
            cause=f"{node.service} is to listen on {port}",
            hint=f"end what listens there, or set CRDB_{variable} to a free one",
        )


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        # As Docker does: a port in TIME_WAIT may be listened on.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            return error.errno in (errno.EADDRINUSE, errno.EACCES)
    return False


def not_ready(compose: Compose, wanted: tuple[str, ...], now: Running) -> Iterator[NotReady]:
    """Yield what is not ready of the services wanted, in their order."""
    found = {one.service: one for one in now.containers}
    for service in wanted:
        if service not in found:
            yield NotReady(service, "has no container")
        elif service in _ONE_SHOT:
            yield from _one_shot(compose, found[service])
        elif not found[service].is_up:
            yield _node(compose, found[service])


def _one_shot(compose: Compose, one: Container) -> Iterator[NotReady]:
    if one.state == "exited" and one.exit_code == 0:
        return
    has_failed = one.state in ("exited", "dead")
    yield NotReady(one.service, f"failed: {_last_log(compose, one)}" if has_failed else "has not ended yet", has_failed)


def _node(compose: Compose, one: Container) -> NotReady:
    if one.state in ("exited", "dead"):
        return NotReady(one.service, f"ended with code {one.exit_code}: {_last_log(compose, one)}", is_final=True)
    if one.state != "running":
        return NotReady(one.service, f"is {one.state}")
    return NotReady(one.service, f"is {one.health or 'running'}: {_last_check(compose, one)}")


def _last_check(compose: Compose, one: Container) -> str:
    """Return what the last health check said: CockroachDB's own words while it waits."""
    said = compose.docker.run(["inspect", "--format", "{{json .State.Health}}", one.name], compose.environment)
    try:
        log = json.loads(said.out or "null")["Log"] or []
    except (ValueError, TypeError, KeyError):
        return "its health cannot be read"
    words = " ".join(log[-1]["Output"].split()) if log else ""
    return words or "no check has ended yet"


def _last_log(compose: Compose, one: Container) -> str:
    said = compose.run("logs", "--no-color", "--no-log-prefix", "--tail", _LOG_LINES, one.service)
    return said.last_words if said.out.strip() else "it left no log"


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait; ``clock`` gives seconds, ``tell`` gets what is waited for whenever that changes."""

    limit_s: float
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    tell: Callable[[tuple[NotReady, ...]], None]


def await_ready(compose: Compose, wanted: tuple[str, ...], patience: Patience) -> Running:
    """Return the containers once all are ready; TargetError with a line for each that is not."""
    began = patience.clock()
    told: tuple[NotReady, ...] = ()
    while True:
        now = running(compose)
        missing = tuple(not_ready(compose, wanted, now))
        if not missing:
            return now
        if any(one.is_final for one in missing) or patience.clock() - began > patience.limit_s:
            raise _never_ready(missing, patience.clock() - began)
        if missing != told:
            patience.tell(missing)
            told = missing
        patience.sleep(_POLL_S)


def _never_ready(missing: tuple[NotReady, ...], after_s: float) -> TargetError:
    lines = "".join(f"\n  {one.service} {one.reason}" for one in missing)
    hint = f"`bench cluster logs {missing[0].service}` shows more; `bench cluster down` takes it away"
    if all(one.service.startswith("netem-") for one in missing):
        hint = "load the kernel's modules sch_netem, sch_htb and cls_u32, or pass --no-distance"
    return TargetError(f"the cluster is not ready after {format_duration(after_s)}{lines}", hint=hint)
