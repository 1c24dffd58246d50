"""Finding scenario files: a path, or the name of a built-in one."""

import difflib
import importlib
import importlib.resources
from collections.abc import Callable, Iterable
from importlib.resources.abc import Traversable
from pathlib import Path

from bench.errors import UsageError
from bench.scenario.distances import MATRIX_NAME, parse_round_trips
from bench.scenario.model import Scenario
from bench.scenario.parse import parse_scenario


def built_in() -> dict[str, Traversable]:
    """Return the scenarios that come with bench, by name."""
    folder = importlib.resources.files(importlib.import_module("bench.scenarios"))
    return {file.name.removesuffix(".toml"): file for file in folder.iterdir() if file.name.endswith(".toml")}


def round_trips_beside(compose_file: Path, regions: Iterable[str] = ()) -> dict[str, dict[str, float]]:
    """Return the round trips that the compose file's side-cars lay; UsageError when it has none, or none of a region."""
    path = compose_file.parent / "scenarios" / MATRIX_NAME
    try:
        found = parse_round_trips(path.read_text(encoding="utf-8"), MATRIX_NAME)
        if missing := [region for region in regions if region not in found]:
            raise ValueError(f"'{MATRIX_NAME}' has no region {', '.join(missing)}")
        return found
    except (OSError, ValueError) as error:
        hint = "it is mounted into the side-cars that lay the distance (docs/cluster.md)"
        raise UsageError(f"cannot read the distances in '{path}'", cause=str(error), hint=hint) from None


def _beside(scenario: Path) -> Callable[[str], str]:
    """Return a function that reads a file named by a scenario, from the scenario's folder on."""
    return lambda name: (scenario.parent / name).read_text(encoding="utf-8")


def find_scenario(reference: str) -> tuple[Scenario, str]:
    """Return the scenario of a name or path, and the text of its file; UsageError suggests the nearest name."""
    if reference.endswith(".toml") or "/" in reference:
        path = Path(reference)
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"cannot read scenario '{reference}'", cause=error.strerror) from None
        except UnicodeDecodeError:
            raise UsageError(f"scenario '{reference}' is not UTF-8 text") from None
        return parse_scenario(text, reference, _beside(path)), text
    known = built_in()
    if reference not in known:
        close = difflib.get_close_matches(reference, known, 1)
        meant = f"did you mean '{close[0]}'? " if close else ""
        raise UsageError(f"no scenario named '{reference}'", hint=f"{meant}`bench scenarios` lists all {len(known)}")
    text = known[reference].read_text(encoding="utf-8")
    beside = importlib.resources.files(importlib.import_module("bench.scenarios"))
    return parse_scenario(
        text, f"scenarios/{reference}.toml", lambda name: (beside / name).read_text(encoding="utf-8")
    ), text
