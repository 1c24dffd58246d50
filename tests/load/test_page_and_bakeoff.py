"""``--ui`` shows a run on Locust's page and leaves the load alone; a matrix is run cell by cell into one table."""

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from tests_support import HANG_S

from .conftest import Play, Start

SHORT = ("--scale", "tiny", "--no-distance")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def ask(url: str, data: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, data, timeout=HANG_S) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()


def shown_in_third_second(start: Start, scenario: str) -> tuple[Play, int]:
    """A run with a page, and the page's port: who else took the port between our look and the run's gets another try."""
    while True:
        port = free_port()
        play = start(scenario, "--no-distance", "--ui", str(port))
        try:
            play.until(3.0)
        except AssertionError:
            if play.process.poll() is None or f"the page cannot use port {port}" not in play.end()[2]:
                raise
        else:
            return play, port


@pytest.mark.slow
def test_the_page_shows_the_run_and_its_stop_button_stops_it(start: Start, steady: str) -> None:
    Path(steady).write_text(Path(steady).read_text().replace('duration = "10s"', 'duration = "60s"'))
    play, port = shown_in_third_second(start, steady)
    page = f"http://127.0.0.1:{port}"
    code, body = ask(f"{page}/stats/requests")
    assert code == 200
    shown = {(row["name"], row["method"]): row["num_requests"] for row in json.loads(body)["stats"]}
    assert shown["home", "us-east"] > 0
    assert ask(f"{page}/swarm", b"user_count=500&spawn_rate=500")[0] == 403
    assert ask(f"{page}/")[0] == 200
    assert json.loads(ask(f"{page}/stop")[1])["success"]
    code, out, err = play.end()
    assert code == 130, err + out
    assert "INTERRUPTED" in out
    assert page in err
    with play.run() as run:
        counted = sum(cell.count for cell in run.cells if (cell.name, cell.region) == ("home", "us-east"))
        assert counted >= shown["home", "us-east"]


@pytest.mark.slow
def test_a_taken_port_is_refused_before_anything_starts(start: Start, steady: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = start(steady, "--ui", str(port)).end()
    assert code == 2
    assert f"the page cannot use port {port}" in err
    assert not list((tmp_path / "runs").glob("*"))


@pytest.mark.slow
def test_a_matrix_is_run_cell_by_cell(start: Start, tmp_path: Path) -> None:
    play = start(
        "contention", *SHORT, "--duration", "9s", "--isolation", "read-committed", "--set", "units_per_region=4"
    )
    code, out, err = play.end()
    assert code == 0, err + out
    rows = {
        row["strategy"]: row for row in json.loads(next((tmp_path / "runs").glob("*-bakeoff/bakeoff.json")).read_text())
    }
    assert set(rows) == {"guarded", "pessimistic", "optimistic", "buckets", "skip_locked", "naive"}
    for name, row in rows.items():
        assert row["isolation"] == "read committed"
        assert row["offered"] == 16
        assert row["buyer"]["count"] > 0
        # Whether naive buyers met in so small a sale is chance; that they are found when they did is a test of its own.
        assert name == "naive" or not (row["oversold"] or row["broken_rules"]), name
    assert out.splitlines()[0].startswith("strategy")
    assert len(list((tmp_path / "runs").glob("*/run.sqlite"))) == 6


def test_a_value_outside_of_the_matrix_is_named(start: Start) -> None:
    code, _, err = start("contention", "--strategy", "guraded").end()
    assert code == 2
    assert "guraded" in err
