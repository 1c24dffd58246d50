"""The side-car's script: what it asks of the kernel, in real network namespaces where they may be made."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests_support import HANG_S

from bench.cli.scenario_files import round_trips_beside
from tests.target.docker_double import FILE, REGIONS, ROOT

SCRIPT = ROOT / "bench" / "target" / "cluster_netem.sh"
MATRIX = ROOT / "scenarios" / "rtt.txt"
NETS = " ".join(f"{region}=10.89.{number}.0/24" for number, region in enumerate(REGIONS, 1))
OWN_NAMESPACES = ["unshare", "--net", "--mount", *(() if os.geteuid() == 0 else ("--user", "--map-root-user"))]


def run(folder: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the script with programs from the folder, if it has any."""
    given = {
        "PATH": f"{folder}:{os.environ['PATH']}",
        "REGION": "us-east",
        "NETS": NETS,
        "MATRIX": str(MATRIX),
        **environment,
    }
    return subprocess.run(
        ["sh", SCRIPT, *words], env=given, capture_output=True, text=True, check=False, timeout=HANG_S
    )


def program(folder: Path, name: str, body: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


@pytest.mark.parametrize("home", REGIONS)
def test_every_other_region_waits_half_of_the_matrix(tmp_path, home):
    program(tmp_path, "tc", f'echo "$@" >> {tmp_path}/asked')
    done = run(tmp_path, "lay", REGION=home)
    assert (done.returncode, done.stderr) == (0, "")
    asked = [line.split() for line in (tmp_path / "asked").read_text().splitlines()]
    delays = {words[words.index("parent") + 1]: words[words.index("delay") + 1] for words in asked if "netem" in words}
    routes = {words[words.index("dst") + 1]: words[-1] for words in asked if "u32" in words}
    wanted = {
        f"10.89.{n}.0/24": round_trips_beside(FILE)[home][region]
        for n, region in enumerate(REGIONS, 1)
        if region != home
    }
    assert {net: delays[flow] for net, flow in routes.items()} == {net: f"{ms / 2:.3f}ms" for net, ms in wanted.items()}
    assert len(set(routes.values())) == 3
    assert all(words[-2:] == ["limit", "100000"] for words in asked if "netem" in words)
    # What no filter takes goes where there is no delay.
    assert ["qdisc", "add", "dev", "eth0", "root", "handle", "1:", "htb", "default", "1"] in asked
    assert "1:1" not in delays


def test_off_lays_nothing_and_takes_away_what_was_there(tmp_path):
    program(tmp_path, "tc", f'echo "$@" >> {tmp_path}/asked')
    assert run(tmp_path, "lay", NETEM="off").returncode == 0
    assert (tmp_path / "asked").read_text().splitlines() == ["qdisc del dev eth0 root"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"REGION": "mars"}, "has no distance from mars to us-east"),
        ({"NETS": NETS + " mars=10.89.9.0/24"}, "has no distance from us-east to mars"),
    ],
)
def test_a_region_that_the_matrix_lacks_is_an_error(tmp_path, given, said):
    program(tmp_path, "tc", "exit 0")
    done = run(tmp_path, "lay", **given)
    assert done.returncode != 0
    assert said in done.stderr


def test_a_kernel_without_netem_is_an_error_with_its_words(tmp_path):
    program(tmp_path, "tc", 'case "$*" in *netem*) echo "Error: Specified qdisc kind is unknown." >&2; exit 2;; esac')
    done = run(tmp_path, "lay")
    assert done.returncode == 2
    assert "qdisc kind is unknown" in done.stderr


@pytest.fixture
def device(tmp_path) -> Path:
    """A device that the script sees in the kernel's list until somebody sleeps."""
    if not Path("/sys/class/net").is_dir():
        pytest.skip("the kernel does not list its devices here")
    program(tmp_path, "sleep", f'echo "$@" >> {tmp_path}/slept\nrm {tmp_path}/eth0')
    (tmp_path / "eth0").touch()
    return tmp_path / "eth0"


def test_a_side_car_ends_when_its_node_has_left_the_network(tmp_path, device):
    program(tmp_path, "tc", "exit 0")
    done = run(tmp_path, "run", DEVICE=f"../../..{device}")
    assert (tmp_path / "slept").read_text() == "2\n"
    assert done.returncode == 1
    assert done.stderr.endswith("eth0 is gone: the node was started again\n")


@pytest.mark.parametrize("step", ["htb default", "classid 1:3", "netem", "filter"])
def test_a_side_car_does_not_stay_where_a_step_fails(tmp_path, device, step):
    program(tmp_path, "tc", f'case "$*" in *"{step}"*) echo "Error: no such module." >&2; exit 2;; esac')
    done = run(tmp_path, "run", DEVICE=f"../../..{device}")
    assert (done.returncode, done.stderr) == (2, "Error: no such module.\n")
    assert not (tmp_path / "slept").exists()


IPUTILS = "rtt min/avg/max/mdev = {ms}/65.1/66.0/0.3 ms"
BUSYBOX = "round-trip min/avg/max = {ms}/65.1/66.0 ms"


@pytest.mark.parametrize("form", [IPUTILS, BUSYBOX])
def test_measuring_takes_the_least_of_each_region(tmp_path, form):
    near, far = form.format(ms="64.07"), form.format(ms="160.2")
    program(
        tmp_path,
        "ping",
        f"""for last; do :; done
case $last in
10.89.2.11) echo "{near}";;
10.89.4.11) echo "{far}";;
*) exit 1;;
esac""",
    )
    assert run(tmp_path, "measure").stdout.splitlines() == ["us-west 64.07", "eu-west unreachable", "asia-pac 160.2"]


# -- with a kernel

PEER = """
import socket, sys
held = []
for address in sys.argv[1:]:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.bind((address, 9))
    held.append(one)
print("ready", flush=True)
import selectors
ready = selectors.DefaultSelector()
for one in held:
    ready.register(one, selectors.EVENT_READ)
while True:
    for key, _ in ready.select():
        data, place = key.fileobj.recvfrom(100)
        key.fileobj.sendto(data, place)
"""
ASK = """
import json, socket, sys, time
found = {}
for address in sys.argv[1:]:
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    one.settimeout(5)
    times = []
    for _ in range(4):
        began = time.perf_counter()
        one.sendto(b"x", (address, 9))
        one.recvfrom(100)
        times.append((time.perf_counter() - began) * 1000)
    found[address] = min(times)
print(json.dumps(found))
"""
STAGE = """
set -e
mount --make-rprivate /
mount -t tmpfs none /run
mkdir -p /run/netns
ip netns add here; ip netns add there
ip link add va netns here type veth peer name vb netns there
ip -n here addr add 10.89.1.11/16 dev va
for address in 10.89.2.11 10.89.3.11 10.89.4.11 10.89.0.1; do ip -n there addr add $address/16 dev vb; done
ip -n here link set va up; ip -n there link set vb up
[ -z "$HAS_NETEM" ] || ip netns exec there env REGION=us-west DEVICE=vb sh "$SCRIPT" lay
ip netns exec here env DEVICE=va sh "$SCRIPT" lay
mkfifo "$FOLDER/ready"
ip netns exec there "$PYTHON" -c "$PEER" 10.89.2.11 10.89.3.11 10.89.4.11 10.89.0.1 > "$FOLDER/ready" &
read line < "$FOLDER/ready"
ip netns exec here "$PYTHON" -c "$ASK" 10.89.2.11 10.89.3.11 10.89.4.11 10.89.0.1 > "$FOLDER/times"
ip netns exec here tc -statistics class show dev va > "$FOLDER/classes"
kill $!
"""


def stage(folder: Path, has_netem: bool) -> tuple[dict[str, float], dict[str, int]]:
    """Return milliseconds by address and packets by class, from two namespaces with the script's delays between them."""
    given = {
        **{"REGION": "us-east", "NETS": NETS, "MATRIX": str(MATRIX), "SCRIPT": str(SCRIPT), "FOLDER": str(folder)},
        **{"PEER": PEER, "ASK": ASK, "PYTHON": sys.executable, "HAS_NETEM": "1" if has_netem else ""},
        "PATH": f"{folder}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        [*OWN_NAMESPACES, "sh", "-c", STAGE], env=given, capture_output=True, text=True, check=False, timeout=HANG_S
    )
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"class htb (\S+) .*\n Sent \d+ bytes (\d+) pkt", (folder / "classes").read_text())
    return json.loads((folder / "times").read_text()), {name: int(packets) for name, packets in shown}


@pytest.fixture(scope="module")
def has_netem() -> bool:
    """Whether the kernel delays packets; the test is skipped where no namespaces may be made, or programs are missing."""
    missing = [name for name in ("unshare", "ip", "tc") if not shutil.which(name)]
    if missing or subprocess.run([*OWN_NAMESPACES, "true"], capture_output=True, check=False).returncode:
        pytest.skip(f"no network namespaces here ({', '.join(missing) or 'not allowed'})")
    probe = "ip link set lo up && tc qdisc add dev lo root htb"
    if subprocess.run([*OWN_NAMESPACES, "sh", "-c", probe], capture_output=True, check=False).returncode:
        pytest.skip("the kernel has no sch_htb")
    probe = "tc qdisc add dev lo root netem delay 1ms"
    return not subprocess.run([*OWN_NAMESPACES, "sh", "-c", probe], capture_output=True, check=False).returncode


def test_the_kernel_sorts_packets_by_the_region_they_go_to(tmp_path, has_netem):
    # Where there is no netem, another queue stands in for it: which packets it would hold is seen all the same.
    real = shutil.which("tc")
    program(
        tmp_path,
        "tc",
        f'case "$*" in *netem*) set -- $(echo "$*" | sed "s/netem.*/pfifo limit 1000/");; esac\nexec {real} "$@"',
    )
    _, packets = stage(tmp_path, has_netem=False)
    assert {name: packets[name] for name in ("1:2", "1:3", "1:4")} == {"1:2": 4, "1:3": 4, "1:4": 4}
    # Four to the host, and whatever the kernel itself had to say (ARP).
    assert packets["1:1"] >= 4


def test_the_kernel_delays_by_the_matrix(tmp_path, has_netem):
    if not has_netem:
        pytest.skip("the kernel has no sch_netem: the delays are checked by value alone")
    times, _ = stage(tmp_path, has_netem=True)
    # Both ends lay half of the way between us-east and us-west; the other regions' half is only this end's.
    wanted = {"10.89.2.11": 64.0, "10.89.3.11": 43.0, "10.89.4.11": 80.0, "10.89.0.1": 0.0}
    assert {address: ms for address, ms in times.items() if not 0 <= ms - wanted[address] < 10} == {}
