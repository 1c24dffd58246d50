"""The matrix of round trips: read with every fault named, and taken by a scenario from its first region."""

from pathlib import Path

import pytest

from bench.cli.scenario_files import built_in, find_scenario, round_trips_beside
from bench.errors import UsageError
from bench.scenario.distances import parse_round_trips
from tests.target.docker_double import FILE

MATRIX = """
# milliseconds
      a    b     c   # the regions
a     0    10.5  30
b     10.5 0     20
c     30   20    0
"""


def test_reads_the_round_trips_of_each_region():
    assert parse_round_trips(MATRIX, "m") == {
        "a": {"a": 0, "b": 10.5, "c": 30},
        "b": {"a": 10.5, "b": 0, "c": 20},
        "c": {"a": 30, "b": 20, "c": 0},
    }


@pytest.mark.parametrize(
    ("before", "after", "fault"),
    [
        ("b     10.5 0     20", "b 10.5 0", "'m' line 5 has 2 distances for 3 regions"),
        ("10.5  30", "ten 30", "'m' line 4 has a distance that is not a number"),
        ("10.5  30", "nan 30", "'m' line 4 has a distance that is not within a minute"),
        ("b     10.5", "b     11", "'m' has two distances between a and b"),
        ("c     30   20    0", "c     30   20    1", "'m' has a distance from c to itself"),
        ("c     30   20    0", "", "'m' does not have one line for each of its regions (a, b, c)"),
        ("c     30   20    0", "d     30   20    0", "'m' does not have one line for each of its regions (a, b, c)"),
        (MATRIX, "", "'m' does not have one line for each of its regions (none)"),
    ],
)
def test_names_every_fault(before, after, fault):
    with pytest.raises(ValueError) as caught:
        parse_round_trips(MATRIX.replace(before, after), "m")
    assert str(caught.value) == fault


PHASE = 'duration = "9s"\nrate = { x = "4/s" }'


def test_a_scenario_takes_the_row_of_its_first_region(phased):
    regions = [{"name": "b"}, {"name": "c"}]
    scenario = phased(PHASE, read={"m.txt": MATRIX}.__getitem__, regions=regions, distance_ms="m.txt")
    assert scenario.distance_ms == {"b": 0, "c": 20}


def test_a_distance_of_a_region_that_is_not_there_is_a_fault(phased):
    """It would be a run without distance that says it had one."""
    with pytest.raises(UsageError) as caught:
        phased(PHASE, regions=[{"name": "us-east"}], distance_ms={"us-eats": 20, "us-east": -5})
    assert caught.value.message.splitlines()[1:] == [
        "  distance_ms.us-eats: no such region (did you mean 'us-east'?)",
        "  distance_ms.us-east: -5 ms is not within a minute",
    ]


def test_a_region_that_the_matrix_lacks_is_a_fault_with_its_path(phased):
    with pytest.raises(UsageError) as caught:
        phased(PHASE, read={"m.txt": MATRIX}.__getitem__, regions=[{"name": "d"}], distance_ms="m.txt")
    assert caught.value.message.splitlines()[1:] == ["  distance_ms: 'm.txt' has no region 'd'"]


def test_every_scenario_of_ours_has_the_matrix_or_says_its_own():
    """One place for the distances: who writes some of their own does so on purpose, and is named here."""
    home = round_trips_beside(FILE)["us-east"]
    found = {name: find_scenario(name)[0].distance_ms for name in built_in()}
    assert {name for name, distances in found.items() if distances != home} == {"contention", "gate"}


def test_a_matrix_that_lacks_a_region_of_the_cluster_is_named(tmp_path: Path) -> None:
    (tmp_path / "scenarios").mkdir()
    (tmp_path / "scenarios" / "rtt.txt").write_text("us-east eu-west\nus-east 0 80\neu-west 80 0\n")
    file = tmp_path / "docker-compose.cluster.yml"
    assert set(round_trips_beside(file, ["eu-west"])) == {"us-east", "eu-west"}
    with pytest.raises(UsageError, match="cannot read the distances") as refused:
        round_trips_beside(file, ["us-east", "asia-pac"])
    assert refused.value.cause == "'rtt.txt' has no region asia-pac"
