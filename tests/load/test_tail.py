"""``bench explain-tail``: one cause at a time in real runs, and the largest slice names it."""

import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from bench.results.read import Run
from bench.results.summarise import summarise_run
from bench.stats.tail import Tail

from .conftest import Play, Start

SCENARIO = """
name = "tail"
question = "what is the tail made of?"
users = {users}
scale = "tiny"
[workload]
user = "{user}"
[workload.settings]
units_per_region = 1000
{distance}
[[regions]]
name = "{region}"
[[phases]]
name = "steady"
duration = "8s"
opens_sale = true
rate = {{ {rate} }}
"""
BURNING = '''
"""A shopper whose own work now and then keeps the generator busy."""
import time
from bench.db.retry import Transaction
from bench.workloads.flash_sale import FlashSaleUser

class Burning(FlashSaleUser):
    abstract = True
    def browse(self, rng):
        if rng.random() < 0.1:
            self.transact("think", Transaction(burn, explicit=False), rng)
        else:
            super().browse(rng)

def burn(session):
    session.execute("list_categories")
    until = time.perf_counter() + 0.2
    while time.perf_counter() < until:
        pass
'''
FLASH_SALE = "bench.workloads.flash_sale:FlashSaleUser"


def explained(
    start: Start,
    folder: Path,
    meanwhile: Callable[[Play], None] = lambda _: None,
    options: tuple[str, ...] = (),
    **given: str,
) -> Tail:
    fields = {"users": "40", "user": FLASH_SALE, "distance": "", "region": "us-east", "rate": 'browse = "20/s"'} | given
    path = folder / "tail.toml"
    path.write_text(SCENARIO.format(**fields))
    play = start(str(path), *options)
    meanwhile(play)
    code, _, err = play.end()
    assert code in (0, 4), err
    with play.run() as run:
        found = summarise_run(run).tail
    assert found is not None
    return found


def hold_stock(play: Play) -> None:
    """Lock every row of the stock for a second and a half."""
    play.until(2)
    store = next((play.folder / "runs").glob("*/run.sqlite")).parent
    with Run.open(store) as run:
        url = run.manifest.target.safe_url
    password = next(
        (pid.parents[1] / "password").read_text().strip()
        for pid in play.home.glob("postgres-*/*/data/postmaster.pid")
        if str(play.postmaster()) in pid.read_text().split()
    )
    with psycopg.connect(url, password=password) as connection:
        connection.execute("SELECT 1 FROM inventory FOR UPDATE")
        time.sleep(1.5)


@pytest.mark.slow
def test_a_pool_of_one_user(start: Start, tmp_path: Path) -> None:
    found = explained(start, tmp_path, users="1", rate='browse = "150/s"')
    assert found.slices[0].kind == "pool", found.slices
    assert "waiting for a free user" in found.sentence


@pytest.mark.slow
def test_a_row_that_is_held(start: Start, tmp_path: Path) -> None:
    found = explained(start, tmp_path, hold_stock, rate='buy = "15/s"')
    assert (found.slices[0].kind, found.slices[0].name) == ("statement", "checkout/reserve_guarded"), found.slices
    assert "waiting for a row in checkout/reserve_guarded of " in found.sentence


@pytest.mark.slow
def test_distance(start: Start, tmp_path: Path) -> None:
    found = explained(start, tmp_path, distance="[distance_ms]\nasia-pac = 160", region="asia-pac")
    assert found.slices[0].kind == "distance", found.slices


@pytest.mark.slow
def test_work_of_the_clients_own(start: Start, tmp_path: Path) -> None:
    (tmp_path / "burning.py").write_text(BURNING)
    found = explained(start, tmp_path, user="burning:Burning", rate='browse = "5/s"')
    assert found.slices[0].kind == "client", found.slices


@pytest.mark.slow
def test_the_command_says_it(start: Start, tmp_path: Path, bench: Callable[..., "object"]) -> None:
    found = explained(start, tmp_path, rate='buy = "15/s"')
    done = bench("explain-tail", "last", "--out", str(tmp_path / "runs"))
    assert done.returncode == 0, done.stderr  # type: ignore[attr-defined]
    assert f"{found.sentence}." in done.stdout  # type: ignore[attr-defined]
    assert "the slowest:" in done.stdout  # type: ignore[attr-defined]
