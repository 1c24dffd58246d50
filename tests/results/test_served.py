"""What the server counted, on its way from a store into a comparison, a search and a page."""

from pathlib import Path

import pytest
from bench.reports.details import server
from bench.reports.facts import Facts, gather
from bench.reports.model import Block, Folded, Table
from bench.reports.served import served

from bench.metrics.frame import Counter
from bench.results.measures import read_measures
from bench.results.probe import read_work, window
from bench.results.read import Run
from bench.results.summarise import summarise_run
from tests.results import synthetic

MOMENTS = {0: ("start", 0.0), 4: ("warm-up", 5.0), 9: ("ramp", 10.0), 24: ("spike", 25.0), 29: ("after", 30.0)}


def write(folder: Path, monkeypatch: pytest.MonkeyPatch, counted: dict[str, dict[str, tuple[float, float]]]) -> Path:
    """Write a run whose server counted (calls, exec_ms) of `take` and samples of waits at the given moments only."""

    class Counting(synthetic.Maker):
        def _counters(self, second):
            moment, at = MOMENTS.get(second, ("", 0.0))
            for kind, values in counted.items():
                if moment in values:
                    names = ("calls", "exec_ms") if kind == "statement" else ("samples", "events")
                    for metric, value in zip(names, values[moment], strict=True):
                        yield Counter(moment, at, "", kind, "take", metric, value)

        def frame(self, second):
            found = super().frame(second)
            found.server["waiting_for_locks"] = float(second)
            found.server["xact_commit"] -= 900.0 if second > 20 else 0.0
            return found

    monkeypatch.setattr(synthetic, "Maker", Counting)
    synthetic.write_run(folder)
    return folder


def mean_ms(folder: Path) -> float | None:
    with Run.open(folder) as run:
        found = read_measures(run, summarise_run(run))
    return next((each.value for key, each in found.items() if key.group == "server" and key.metric == "exec_ms"), None)


WHOLE = {
    "start": (0, 0),
    "warm-up": (1e5, 5e5),
    "ramp": (101_000, 505_000),
    "spike": (103e3, 515e3),
    "after": (104e3, 52e4),
}
HISTORY = {moment: (9e6 + calls, 9e6 + spent) for moment, (calls, spent) in WHOLE.items()}


@pytest.mark.parametrize(
    "counted",
    [
        WHOLE,
        # A node of several was restarted in the ramp: the sum of calls fell, that of the time did not.
        WHOLE | {"ramp": (98_000, 560_000), "spike": (100_000, 570_000), "after": (101_000, 575_000)},
        # Without the readings before the first measured phase its figures are not known, nor is the server's history.
        {moment: HISTORY[moment] for moment in ("ramp", "spike", "after")},
        {moment: values for moment, values in WHOLE.items() if moment != "warm-up"} | {"start": (0, 9)},
    ],
)
def test_a_comparison_takes_what_is_of_measured_phases(tmp_path, monkeypatch, counted) -> None:
    assert mean_ms(write(tmp_path / "run", monkeypatch, {"statement": counted})) == pytest.approx(5.0)


def test_a_search_takes_waits_of_its_window_alone(tmp_path, monkeypatch) -> None:
    waits = {"start": (0, 0), "warm-up": (50, 0), "ramp": (57, 0)}
    for name, counted, expected in (
        ("whole", waits, {"take": 7.0}),
        ("gap", {moment: values for moment, values in waits.items() if moment != "warm-up"}, {}),
    ):
        with Run.open(write(tmp_path / name, monkeypatch, {"wait": counted})) as run:
            assert read_work(run, window(run)).waits == expected


def tables(blocks: tuple[Block, ...]) -> dict[str, Table]:
    found: dict[str, Table] = {}
    for block in blocks:
        if isinstance(block, Folded):
            found |= tables(block.blocks)
        elif isinstance(block, Table):
            found[block.caption] = block
    return found


@pytest.fixture
def facts(tmp_path, monkeypatch) -> Facts:
    statement = {moment: values for moment, values in WHOLE.items() if moment != "ramp"}
    lock = {moment: (0.0, 3.0 * place) for place, moment in enumerate(WHOLE) if moment != "ramp"}
    folder = write(tmp_path / "run", monkeypatch, {"statement": statement, "lock": lock})
    with Run.open(folder) as run:
        return gather(run)


def test_a_page_says_that_two_phases_are_in_one_and_what_events_are(facts: Facts) -> None:
    shown = tables(served(facts))
    row = shown["Statements, in 'ramp + spike'"].rows[0]
    assert [cell.text for cell in row] == ["take", "3,000", "15.00 s", "5 ms", "–"]
    assert "Contention events and the time waited in them (ms), in 'ramp + spike'" in shown
    assert "ramp + spike" in {row.phase for row in facts.served} >= {row.phase for row in facts.summary.served}
    assert not [caption for caption in shown if "samples" in caption]


def test_a_level_and_a_counter_that_was_set_back_have_no_rate(facts: Facts) -> None:
    [table] = tables(server(facts)).values()
    rows = {row[0].text: [cell.text for cell in row[3:]] for row in table.rows}
    assert rows["waiting_for_locks"] == rows["xact_commit"] == ["–", "–"]
    assert rows["blks_read"] == ["29", "1"]
