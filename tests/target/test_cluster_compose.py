"""The compose file of the cluster: valid, of one piece, and its shell texts do what they say."""

import ipaddress
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from tests_support import HANG_S

from bench.cli.scenario_files import round_trips_beside
from bench.scenario.model import DEFAULT_REGIONS
from bench.target.cluster import SIZES
from tests.target.docker_double import FILE, ROOT, resolved_services

SCHEMA = Path(__file__).parent / "assets" / "compose-spec.json"
TEXT = FILE.read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES = resolved_services({})
NODES = {name: service for name, service in SERVICES.items() if name.startswith("crdb-")}
VALID = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text()))


def test_the_file_is_valid_by_the_compose_specification():
    assert [f"{list(fault.path)}: {fault.message}" for fault in VALID.iter_errors(COMPOSE)] == []


@pytest.mark.parametrize(
    "broken", [{"ports": "26257"}, {"helthcheck": {}}, {"depends_on": {"certs": {"condition": "up"}}}]
)
def test_the_specification_refuses_a_mistake(broken):
    service = {**COMPOSE["services"]["crdb-us-east-1"], **broken}
    assert list(VALID.iter_errors({**COMPOSE, "services": {"crdb-us-east-1": service}}))


def test_docker_takes_the_file():
    plugin = (
        subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
        if shutil.which("docker")
        else None
    )
    if plugin is None or plugin.returncode:
        pytest.skip("docker has no compose plugin here: the file is held against the specification's schema alone")
    for size in SIZES:
        command = ["docker", "compose", "--file", FILE, "--profile", size, "--profile", "load", "config", "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("size", SIZES.values(), ids=lambda size: size.name)
def test_a_size_has_as_many_nodes_in_each_region_each_in_a_zone_of_its_own(size):
    nodes = [service for service in NODES.values() if size.name in service["profiles"]]
    places = sorted((node["environment"]["REGION"], node["environment"]["ZONE"]) for node in nodes)
    letters = "abc"[: size.nodes_per_region]
    assert places == sorted((region, f"{region}-{letter}") for region in DEFAULT_REGIONS for letter in letters)


def test_every_node_has_a_side_car_in_its_network_and_a_place_in_its_regions_block():
    blocks = dict(net.split("=") for net in SERVICES["netem-us-east-1"]["environment"]["NETS"].split())
    assert tuple(blocks) == DEFAULT_REGIONS
    addresses = set()
    for name, node in NODES.items():
        region, car = node["environment"]["REGION"], SERVICES[name.replace("crdb", "netem")]
        assert (node["environment"]["NODE"], node["labels"]["shopbench.region"]) == (name, region)
        assert (car["network_mode"], car["environment"]["REGION"]) == (f"service:{name}", region)
        assert (car["profiles"], car["environment"]["NETS"].split()) == (
            node["profiles"],
            [f"{r}={b}" for r, b in blocks.items()],
        )
        address = ipaddress.ip_address(node["networks"]["wan"]["ipv4_address"])
        assert address in ipaddress.ip_network(blocks[region])
        # `measure` pings the first node of a region by this.
        assert (int(address) % 256 == 11) == name.endswith("-1")
        addresses.add(address)
    assert len(addresses) == len(NODES) == 12


def test_what_has_no_region_gets_an_address_outside_of_all_blocks():
    wan = yaml.safe_load(re.sub(r"\$\{CRDB_NET:-([^}]*)\}", r"\1", TEXT))["networks"]["wan"]["ipam"]["config"][0]
    free, whole = ipaddress.ip_network(wan["ip_range"]), ipaddress.ip_network(wan["subnet"])
    assert ipaddress.ip_address(wan["gateway"]) in free
    for net in SERVICES["netem-us-east-1"]["environment"]["NETS"].split():
        block = ipaddress.ip_network(net.split("=")[1])
        assert not block.overlaps(free)
        assert block.subnet_of(whole)


def test_ports_of_the_host_are_on_the_loopback_and_the_first_nodes_have_fixed_ones():
    ports = [(name, port) for name, node in NODES.items() for port in node.get("ports", ())]
    assert {port["host_ip"] for _, port in ports} == {"127.0.0.1"}
    fixed = [port for name, port in ports if name.endswith("-1")]
    assert sorted(port["target"] for port in fixed) == [8080] * 4 + [26257] * 4
    assert len({port["published"] for port in fixed}) == 8
    # The metrics of every node can be read; where, is the host's choice for the others.
    others = [port for name, port in ports if not name.endswith("-1")]
    assert [port["target"] for port in others] == [8080] * 8
    assert not any("published" in port for port in others)


def test_the_version_is_pinned_and_the_same_everywhere():
    images = {service["image"] for service in SERVICES.values() if "cockroach" in service.get("image", "")}
    assert len(images) == 1
    assert re.fullmatch(r"cockroachdb/cockroach:v26\.2\.\d+", images.pop())


def test_the_matrix_is_of_the_regions_of_the_file_and_of_the_scenarios():
    assert tuple(round_trips_beside(FILE)) == DEFAULT_REGIONS
    mounted = [volume for volume in SERVICES["netem-us-east-1"]["volumes"] if volume.endswith(":ro")]
    for volume in mounted:
        assert (ROOT / volume.split(":")[0]).is_file()
    assert len(mounted) == 2


def test_every_volume_is_used_once_but_that_of_the_certificates():
    used = [volume.split(":")[0] for node in NODES.values() for volume in node["volumes"]]
    assert set(used) == set(COMPOSE["volumes"])
    assert {name for name in used if used.count(name) > 1} == {"certs"}


def test_the_load_has_a_worker_in_each_region_and_a_gateway_of_each():
    command = SERVICES["load"]["command"]
    gateways = [word.removeprefix("--gateway=").split("=")[0] for word in command if word.startswith("--gateway=")]
    workers = {name.removeprefix("load-") for name in SERVICES if name.startswith("load-")}
    assert tuple(gateways) == DEFAULT_REGIONS
    assert workers == set(DEFAULT_REGIONS)
    assert f"--remote-workers={len(workers)}" in command


def test_no_two_services_that_are_built_export_to_one_image():
    built = [(name, service.get("image", name)) for name, service in SERVICES.items() if "build" in service]
    assert len({image for _, image in built}) == len(built) > 12


def test_the_load_may_end_its_run_in_order_and_nobody_elses_end_stops_it():
    assert SERVICES["load"]["stop_grace_period"] == "5m"
    commands = re.findall(r"^docker compose .*$", (ROOT / "docs" / "cluster.md").read_text(), re.M)
    assert commands
    assert not [command for command in commands if "--exit-code-from" in command or "--abort-on" in command]


def test_every_variable_is_documented():
    text = (ROOT / "docs" / "cluster.md").read_text()
    variables = set(re.findall(r"\$\{([A-Z_]+)", TEXT))
    assert len(variables) > 10
    assert [name for name in sorted(variables) if f"`{name}`" not in text] == []


# -- the shell texts


def shell(service: str, key: str = "command") -> str:
    words = SERVICES[service][key] if key == "command" else SERVICES[service]["healthcheck"]["test"]
    return words[-1].replace("$$", "$")


def run(
    text: str, folder: Path, programs: dict[str, str], flags: str = "-c", **environment: str
) -> "subprocess.CompletedProcess[str]":
    """Run a shell text of the file with programs of our own; what it has below / is in the folder."""
    for name, body in programs.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    for name in ("certs", "client"):
        (folder / name).mkdir(exist_ok=True)
    text = re.sub(r"(?<![\w.])(/certs|/client)\b(?!\.)", rf"{folder}\1", text)
    text = text.replace("/cockroach/cockroach", f"{folder}/cockroach").replace("sleep 2", ":")
    path = f"{folder}:/usr/bin:/bin"
    return subprocess.run(
        ["/bin/bash", flags, text],
        env={"PATH": path, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG_S,
    )


def test_a_node_starts_with_the_flags_of_its_place(tmp_path):
    done = run(
        shell("crdb-eu-west-2"),
        tmp_path,
        {"cockroach": 'printf "%s\\n" "$@"'},
        **SERVICES["crdb-eu-west-2"]["environment"],
    )
    assert done.stdout.split() == [
        "start",
        "--insecure",
        "--listen-addr=0.0.0.0:26357",
        "--advertise-addr=crdb-eu-west-2:26357",
        "--sql-addr=0.0.0.0:26257",
        "--advertise-sql-addr=crdb-eu-west-2:26257",
        "--http-addr=0.0.0.0:8080",
        "--locality=region=eu-west,zone=eu-west-b",
        "--join=crdb-us-east-1:26357,crdb-eu-west-1:26357,crdb-asia-pac-1:26357",
        "--cache=256MiB",
        "--max-sql-memory=256MiB",
        "--max-offset=250ms",
    ]


@pytest.mark.parametrize(
    ("curl", "code"),
    [
        ("echo '{}'", 0),
        ("""echo '{"error": "node is waiting for cluster initialization", "code": 14}'""", 1),
        ("echo 'curl: (7) Failed to connect to localhost port 8080' >&2; exit 7", 7),
    ],
)
def test_a_node_is_healthy_when_it_is_ready_and_says_why_when_not(tmp_path, curl, code):
    done = run(
        shell("crdb-us-east-1", "healthcheck"), tmp_path, {"curl": f'echo "$@" >&2\n{curl}'}, CREDENTIALS="--insecure"
    )
    assert done.returncode == code
    assert "http://localhost:8080/health?ready=1" in done.stdout
    assert curl.split("'")[1] in done.stdout


def test_a_node_with_certificates_is_asked_by_tls(tmp_path):
    done = run(
        shell("crdb-us-east-1", "healthcheck"), tmp_path, {"curl": 'echo "$@"'}, CREDENTIALS="--certs-dir=/certs"
    )
    assert "https://localhost:8080/health?ready=1" in done.stdout


def test_a_node_of_an_image_without_curl_is_asked_by_sql(tmp_path):
    text = shell("crdb-us-east-1", "healthcheck").replace("command -v curl", "command -v no-such-program")
    programs = {"cockroach": 'echo "$@"; exit 3', "curl": "echo must not be asked"}
    done = run(text, tmp_path, programs, CREDENTIALS="--certs-dir=/certs")
    assert done.stdout == "sql --certs-dir=/certs --host=localhost:26257 --execute=SELECT 1\n"
    assert done.returncode == 3


INITIALISED = "ERROR: cluster has already been initialized"
REFUSED = "ERROR: cannot dial server.\\nIs the server running?"


@pytest.mark.parametrize(
    ("answers", "code", "calls"),
    [
        (["echo Cluster successfully initialized"], 0, 1),
        ([f"echo '{INITIALISED}' >&2; exit 1"], 0, 1),
        ([f"printf '{REFUSED}' >&2; exit 1", f"printf '{REFUSED}' >&2; exit 1", "echo done"], 0, 3),
        ([f"printf '{REFUSED}' >&2; exit 1"] * 91, 1, 90),
    ],
    ids=["first", "again", "waits", "gives up"],
)
def test_init_is_done_once_and_waits_for_its_node(tmp_path, answers, code, calls):
    cases = "\n".join(f"{number}) {answer};;" for number, answer in enumerate(answers, 1))
    program = f'echo "$@" >> {tmp_path}/calls\ncase $(wc -l < {tmp_path}/calls) in\n{cases}\nesac'
    done = run(shell("init"), tmp_path, {"cockroach": program}, CREDENTIALS="--insecure")
    said = (tmp_path / "calls").read_text().splitlines()
    assert (done.returncode, len(said)) == (code, calls)
    assert set(said) == {"init --insecure --host=crdb-us-east-1:26357"}
    if code:
        assert "Is the server running?" in done.stdout


CERT = """
echo "$@" >> {folder}/calls
case "$*" in
*create-ca) touch {folder}/certs/ca.crt;;
*create-node*) touch {folder}/certs/node.crt {folder}/certs/node.key;;
*create-client*) touch {folder}/certs/client.root.crt; (umask 077; echo secret > {folder}/certs/client.root.key);;
esac
"""


def test_certificates_are_made_once_for_every_node_and_the_client_gets_its_own(tmp_path):
    owner = str(tmp_path.stat().st_uid)
    cockroach = {"cockroach": CERT.format(folder=tmp_path)}
    for _ in range(2):
        done = run(shell("certs"), tmp_path, cockroach, "-ec", CREDENTIALS="--certs-dir=/certs", OWNER=owner)
        assert (done.returncode, done.stderr) == (0, "")
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call.split()[3] for call in calls] == ["create-ca", "create-node", "create-client"]
    assert set(calls[1].split()[4:]) == {*NODES, "localhost", "127.0.0.1"}
    assert sorted(path.name for path in (tmp_path / "client").iterdir()) == [
        "ca.crt",
        "client.root.crt",
        "client.root.key",
    ]
    assert (tmp_path / "client" / "client.root.key").stat().st_mode & 0o777 == 0o600


def test_without_certificates_none_are_made(tmp_path):
    done = run(shell("certs"), tmp_path, {"cockroach": "exit 9"}, "-ec", CREDENTIALS="--insecure", OWNER="0")
    assert (done.returncode, list((tmp_path / "client").iterdir())) == (0, [])
