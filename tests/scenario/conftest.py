"""Scenarios made of a few words."""

import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from bench.scenario.model import Scenario
from bench.scenario.parse import build_scenario

GOOD = """
name = "one"
question = "does it work?"
[workload]
user = "bench.workloads.flash_sale:FlashSaleUser"
[[phases]]
name = "steady"
duration = "10s"
rate = { browse = "900/min", shop = ["1/s", "3/s"] }
"""


@pytest.fixture
def phased() -> Callable[..., Scenario]:
    """Return a function that makes a scenario of phases written as TOML tables, and other keys."""

    def make(*phases: str, read: Callable[[str], str] | None = None, **more: Any) -> Scenario:
        data = {"name": "s", "question": "?", "workload": {"user": "m:C"}, **more}
        data["phases"] = [{"name": f"p{n}", **tomllib.loads(text)} for n, text in enumerate(phases)]
        return build_scenario(data, "s.toml", read)

    return make
