"""docs/workloads.md and the scenarios name what there is."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from bench.cli.scenario_files import find_scenario
from bench.db.catalogue import read

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "workloads.md").read_text()
OWN = ("browse", "account", "cart", "checkout", "steady", "soak", "black-friday", "follow-the-sun")
CLASSES = """
from bench.workloads.back_office import Batches
from bench.workloads.shop import BlackFridayUser, ShopSettings
say({
    "shop": list(Played.sessions),
    "sale": list(BlackFridayUser.sessions),
    "exchanges": dict(BlackFridayUser.exchanges),
    "settings": [name for name in ShopSettings.model_fields if name not in Batches.model_fields],
})
"""


@pytest.fixture(scope="module")
def classes(shop: Any) -> dict[str, Any]:
    return shop.act(CLASSES)


def scenario(name: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / "scenarios" / f"{name}.toml").read_text())


def sessions_of(name: str) -> set[str]:
    phases = scenario(name)["phases"]
    return {session for phase in phases for session in (*phase.get("rate", {}), *phase.get("burst", {}))}


def table() -> dict[str, tuple[str, str]]:
    """Session → (its statements, its scenarios), as documented."""
    found = {}
    section = TEXT.split("## Sessions")[1].split("## Transactions")[0]
    for row in re.findall(r"^\| (`.*) \|$", section, re.MULTILINE):
        names, _, _, statements, scenarios = (cell.strip() for cell in row.split(" | "))
        sessions, counts = re.findall(r"`(\w+)`", names), statements.split(", ")
        for number, session in enumerate(sessions):
            found[session] = (counts[number], scenarios)
    return found


def test_every_session_is_documented_with_its_statements(classes: dict[str, Any]) -> None:
    documented = {session: int(statements) for session, (statements, _) in table().items()}
    assert documented == {session: classes["exchanges"][session] for session in classes["sale"]}


def test_the_scenarios_of_each_session_are_named() -> None:
    wrong = []
    for session, (_, text) in table().items():
        common, *extra = text.split("; ")
        also = ", ".join(part.split(" also ")[1] for part in extra if part.startswith(f"`{session}`"))
        named = {name.strip() for name in f"{common}, {also}".split(",")}
        offered = {name for name in OWN if session in sessions_of(name)}
        if named & set(OWN) != offered:
            wrong.append((session, named, offered))
    assert wrong == []


def test_every_statement_of_shoppers_is_documented() -> None:
    files = [ROOT / "workloads" / "sql" / f"{name}.sql" for name in ("browse", "account", "cart")]
    assert [s.name for s in read(files) if f"`{s.name}`" not in TEXT] == []


def test_every_setting_is_documented(classes: dict[str, Any]) -> None:
    text = (ROOT / "docs" / "scenarios.md").read_text()
    assert [name for name in classes["settings"] if f"`{name}`" not in text] == []


@pytest.mark.parametrize("name", OWN)
def test_a_scenario_is_whole(classes: dict[str, Any], name: str) -> None:
    found, _ = find_scenario(name)
    assert found.name == name
    assert found.question.endswith("?")
    assert found.duration_s <= 60 or name == "soak"
    assert set(found.session_names) <= set(classes["sale" if name == "black-friday" else "shop"])


def test_the_mixed_scenarios_have_everything(classes: dict[str, Any]) -> None:
    assert sessions_of("steady") == sessions_of("soak") == set(classes["shop"])
    assert {"buy", "restock"} <= sessions_of("black-friday")
