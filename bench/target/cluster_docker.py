"""The one door to ``docker``: every call of it goes through ``Docker.run``.  May import ``errors``."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from bench.errors import TargetError

OLDEST_COMPOSE = (2, 24)
"""With dependencies that restart and health checks that are quick at the start; Docker Engine 25 came with it."""
ALL_PROFILES = ("smoke", "region", "zone", "load")
"""A service whose profile is not named is not there for compose, though its container may be."""
_QUICK_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call of docker came to."""

    code: int
    out: str
    err: str

    @property
    def last_words(self) -> str:
        """The last line that it said on standard error, else on standard output."""
        lines = [line.strip() for text in (self.out, self.err) for line in text.splitlines() if line.strip()]
        return lines[-1] if lines else f"exit code {self.code}"


class Docker(Protocol):
    """Something that runs docker."""

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], *, shown: bool = False) -> Answer:
        """Run ``docker`` with arguments and more variables; ``shown`` lets it speak to the terminal by itself."""
        ...


class DockerCli:
    """The ``docker`` on PATH."""

    def run(self, arguments: Sequence[str], environment: Mapping[str, str], *, shown: bool = False) -> Answer:
        """Run it; TargetError when there is none or it hangs."""
        try:
            done = subprocess.run(
                ["docker", *arguments],
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                # Ours is for results, and what docker shows is progress.
                stdout=2 if shown else subprocess.PIPE,
                stderr=None if shown else subprocess.PIPE,
                text=True,
                timeout=None if shown else _QUICK_S,
                check=False,
            )
        except FileNotFoundError:
            hint = "install Docker (docs.docker.com/get-docker), or pass --url of a cluster that is there"
            raise TargetError("there is no `docker` on PATH", hint=hint) from None
        except subprocess.TimeoutExpired:
            raise TargetError(f"`docker {arguments[0]}` did not answer within {_QUICK_S:g} s") from None
        return Answer(done.returncode, done.stdout or "", done.stderr or "")


@dataclass(frozen=True, slots=True)
class Compose:
    """One compose file, and the variables that it is read with."""

    docker: Docker
    file: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, profiles: Sequence[str] = ALL_PROFILES, shown: bool = False) -> Answer:
        """Run ``docker compose`` on the file."""
        chosen = [word for profile in profiles for word in ("--profile", profile)]
        command = ["compose", "--file", str(self.file), *chosen, *arguments]
        return self.docker.run(command, self.environment, shown=shown)

    def require(self, *arguments: str, profiles: Sequence[str] = ALL_PROFILES, shown: bool = False) -> str:
        """Return what it printed; TargetError when it failed."""
        answer = self.run(*arguments, profiles=profiles, shown=shown)
        if answer.code:
            # What is missing of Docker itself is a better reason than what compose says without it.
            require_docker(self.docker)
            cause = None if shown else answer.last_words
            hint = "`bench cluster logs` may say why"
            if arguments[0] == "up":
                hint += "; where Docker says that address pools overlap, export CRDB_NET, e.g. as 10.90"
            raise TargetError(f"`docker compose {arguments[0]}` failed", cause=cause, hint=hint)
        return answer.out


def require_docker(docker: Docker) -> int:
    """Return the bytes of memory that Docker's engine has; TargetError names what is missing of Docker."""
    info = docker.run(["info", "--format", "{{.MemTotal}}"], {})
    # Some versions of the command end with 0 all the same, and with nothing to say (docker/cli#5900).
    if info.code or not info.out.strip().strip("0"):
        raise TargetError("Docker's engine does not answer", cause=info.last_words, hint="start Docker, then try again")
    compose = docker.run(["compose", "version", "--short"], {})
    if compose.code:
        hint = "install the plugin docker-compose-plugin (docs.docker.com/compose/install)"
        raise TargetError("docker has no compose plugin", cause=compose.last_words, hint=hint)
    version = compose.out.strip().lstrip("v")
    if _numbers(version) < OLDEST_COMPOSE:
        wanted = ".".join(map(str, OLDEST_COMPOSE))
        raise TargetError(
            f"docker compose is {version}, too old for the cluster's file", hint=f"install {wanted} or later"
        )
    return int(info.out)


def has_docker() -> bool:
    """Whether there is a ``docker`` on PATH."""
    return shutil.which("docker") is not None


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.partition("-")[0].split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdigit() for part in parts) else (0,)
