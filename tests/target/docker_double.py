"""A `docker` on PATH that records what it is asked, and answers as Docker and its compose plugin are documented to.

A tool of the tests.  What it knows is a file that a test writes: the engine's memory, the resolved compose file, and what
`ps` lists before and after `up`, in the form of docker/compose `cmd/formatter/container.go` (JSON Lines; an array before
2.21).
"""

import json
import os
import re
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.cluster.yml"
REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")

PROGRAM = """#!{python} -IS
import json, os, sys

here = os.path.dirname(os.path.abspath(__file__))
known = json.load(open(os.path.join(here, "known.json")))
words = sys.argv[1:]
given = {{key: value for key, value in os.environ.items() if key.startswith("CRDB_")}}
with open(os.path.join(here, "asked.jsonl"), "a") as log:
    log.write(json.dumps([words, given]) + "\\n")

def end(code, out="", err=""):
    sys.stdout.write(out)
    sys.stderr.write(err)
    sys.exit(code)

if words[0] == "info":
    if not known["engine"]:
        said = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
        end(known["info_code"], err=said + "\\n")
    if words[-1] == "{{{{.SecurityOptions}}}}":
        end(0, known["security"] + "\\n")
    end(0, str(known["memory"]) + "\\n")
if words[0] == "inspect":
    end(0, json.dumps(known["health"].get(words[-1])) + "\\n")
if words[:2] == ["volume", "inspect"]:
    end(0, json.dumps([{{"Name": words[2], "CreatedAt": known["made_at"]}}]))
if not known["compose"]:
    end(1, err="docker: unknown command: docker compose\\n\\nRun 'docker --help' for more information\\n")
rest = words[1:]
profiles = []
while rest[0] in ("--file", "--profile"):
    if rest[0] == "--profile":
        profiles.append(rest[1])
    rest = rest[2:]
if rest[0] == "version":
    end(0, known["compose"] + "\\n")
if rest[0] == "config":
    services = {{n: s for n, s in known["services"].items() if set(s.get("profiles", profiles)) & set(profiles)}}
    end(0, json.dumps({{"name": "shopbench-cluster", "services": services}}))
if rest[0] == "up":
    open(os.path.join(here, "is_up"), "a").write("x")
    end(known["up_code"], err="network wan created\\n")
if rest[0] == "ps":
    answers = known["after"] if os.path.exists(os.path.join(here, "is_up")) else [known["before"]]
    count = os.path.join(here, "counted")
    at = os.path.getsize(count) if os.path.exists(count) else 0
    if answers is known["after"]:
        open(count, "a").write("x")
    answer = answers[min(at, len(answers) - 1)]
    lines = [json.dumps(one) for one in answer]
    end(0, "[" + ",".join(lines) + "]" if known["is_old"] else "".join(line + "\\n" for line in lines))
if rest[0] == "logs":
    end(0, known["logs"].get(rest[-1], ""))
if rest[0] == "exec":
    end(0, known["round_trips"].get(rest[2], ""))
end(0)
"""


@cache
def _services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(FILE.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))["services"]
    return found


def resolved_services(ports: dict[str, int]) -> dict[str, Any]:
    """The services as `docker compose config --format json` has them: variables filled in, ports as objects."""
    text = json.dumps(_services())
    services: dict[str, Any] = json.loads(
        re.sub(r"\$\{([A-Z_]+):-([^}]*)\}", lambda m: str(ports.get(m[1], m[2])), text)
    )
    for service in services.values():
        if "ports" in service:
            service["ports"] = [_port(port) for port in service["ports"]]
    return services


def _port(port: Any) -> dict[str, Any]:
    """A port as an object; without `published` where the host is to choose."""
    if isinstance(port, dict):
        return {"mode": "ingress", **port, "protocol": "tcp"}
    host, published, target = port.split(":")
    return {"mode": "ingress", "host_ip": host, "target": int(target), "published": published, "protocol": "tcp"}


def container(service: str, state: str = "running", health: str = "", code: int = 0, **more: Any) -> dict[str, Any]:
    """One line of `docker compose ps --format json`."""
    labels = {
        "com.docker.compose.depends_on": "certs:service_completed_successfully:false,x:y:z",
        **more.get("labels", {}),
    }
    publishers = [
        {"URL": "127.0.0.1", "TargetPort": inner, "PublishedPort": outer, "Protocol": "tcp"}
        for inner, outer in more.get("ports", {}).items()
    ]
    return {
        "Name": f"shopbench-cluster-{service}-1",
        "Service": service,
        "State": state,
        "Health": health,
        "ExitCode": code,
        "Labels": ",".join(f"{key}={value}" for key, value in labels.items()),
        "Publishers": [*publishers, {"URL": "", "TargetPort": 26357, "PublishedPort": 0, "Protocol": "tcp"}],
    }


def containers(
    ports: dict[str, int], per_region: int = 1, credentials: str = "--insecure", distance: str = "on"
) -> list[dict[str, Any]]:
    """What a cluster that is ready lists; ``ports`` are those of SQL by region."""
    found = [container("certs", "exited"), container("init", "exited")]
    for number in range(1, per_region + 1):
        for order, region in enumerate(REGIONS, 1):
            labels = {
                "shopbench.region": region,
                "shopbench.order": order,
                "shopbench.credentials": credentials,
            }
            published = (
                {26257: ports[region], 8080: 8079 + order} if number == 1 else {8080: 32000 + 10 * number + order}
            )
            found.append(container(f"crdb-{region}-{number}", health="healthy", labels=labels, ports=published))
            found.append(container(f"netem-{region}-{number}", labels={"shopbench.netem": distance}))
    return found


@dataclass
class DockerDouble:
    """The program in its folder, which is to be the first of PATH."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(exist_ok=True)
        program = self.folder / "docker"
        program.write_text(PROGRAM.format(python=sys.executable))
        program.chmod(0o755)
        self.knows()

    @property
    def path(self) -> str:
        return f"{self.folder}{os.pathsep}{os.environ['PATH']}"

    def knows(self, **given: Any) -> None:
        """Write what it knows: ``given`` over a machine with a running engine, much memory and no containers."""
        known: dict[str, Any] = {
            "engine": True,
            "info_code": 1,
            "security": "[name=seccomp,profile=builtin name=cgroupns]",
            "memory": 64 << 30,
            "compose": "2.39.1",
            "services": {},
            "before": [],
            "after": [[]],
            "is_old": False,
            "up_code": 0,
            "logs": {},
            "health": {},
            "round_trips": {},
            "made_at": "2026-11-01T08:00:00Z",
        }
        (self.folder / "known.json").write_text(json.dumps({**known, **given}))
        for left in ("is_up", "counted", "asked.jsonl"):
            (self.folder / left).unlink(missing_ok=True)

    def asked(self) -> list[tuple[list[str], dict[str, str]]]:
        """Every call, with its variables."""
        log = self.folder / "asked.jsonl"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(words, given) for words, given in map(json.loads, lines)]

    def compose_commands(self) -> list[str]:
        """The compose commands in order, without file and profiles."""
        found = []
        for words, _ in self.asked():
            rest = words[1:] if words[0] == "compose" else []
            while rest and rest[0] in ("--file", "--profile"):
                rest = rest[2:]
            found += rest[:1]
        return found
