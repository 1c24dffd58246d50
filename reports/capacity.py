"""The answer of ``bench capacity`` as a page, as Markdown and as JSON (capacity.schema.json)."""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench.results.store import refuse_package, write_atomically
from bench.stats.capacity import Capacity, Made, Probe
from bench.stats.capacity_text import (
    advice,
    assumptions,
    headline,
    interval,
    little_sentence,
    own,
    rate,
    replay_sentences,
    sizing_sentence,
    usl_sentence,
    weakest_sentence,
)
from bench.stats.usl import Interval
from bench.units import format_duration

from . import capacity_figures as figures
from .drawing import Look
from .html import render_page
from .markdown import render_markdown
from .model import Block, Cell, Figure, Page, Section, Text, Tile, region_cell, table
from .numbers import MISSING, count, ms, seconds, share

SCHEMA_VERSION = 3
# 1  first form.
# 2  objective.region: an objective may be about one region; made.workers.
# 3  signs.node: the busiest node of a cluster, where their metrics are read.
WRITTEN = ("capacity.html", "capacity.md", "capacity.json")
_KINDS = {"held": "good", "broke": "bad", "unclear": "caution", "generator": "caution"}


def write_capacity(folder: Path, found: Capacity, made: Made) -> list[Path]:
    """Write the answer into its folder and return the paths."""
    refuse_package(folder)
    page = _page(found, made, _reports(folder, found))
    document = json.dumps(capacity_document(found, made), indent=2, allow_nan=False, ensure_ascii=False) + "\n"
    paths = [folder / name for name in WRITTEN]
    for path, text in zip(paths, (render_page(page), render_markdown(page), document), strict=True):
        write_atomically(path, text)
    return paths


def _reports(folder: Path, found: Capacity) -> dict[str, str]:
    """Return the way from the answer's folder to the report of each probe's run, where that is still there."""
    runs = [probe.run_id for probe in found.probes]
    return {run: f"../{quote(run)}/report.html" for run in runs if (folder.parent / run / "report.html").is_file()}


def capacity_document(found: Capacity, made: Made) -> dict[str, Any]:
    """Return the answer as plain values: times in ms, rates per second, null for what is not known."""
    return {
        "schema_version": SCHEMA_VERSION,
        "made": dataclasses.asdict(made),
        "answer": headline(found),
        **dataclasses.asdict(found),
    }


def load_schema() -> dict[str, Any]:
    """Return the JSON Schema of capacity.json."""
    schema: dict[str, Any] = json.loads((files("bench.reports") / "capacity.schema.json").read_text(encoding="utf-8"))
    return schema


def _page(found: Capacity, made: Made, reports: Mapping[str, str]) -> Page:
    look = Look(made.regions, made.distance_ms)
    return Page(
        name=f"{made.scenario} ({made.capacity_id})",
        kicker=f"Capacity of {made.server}, scenario {made.scenario}, {made.created_utc}",
        level="good" if found.knee.low and found.knee.high and found.is_finished else "caution",
        heading=_heading(found),
        reasons=tuple(_reasons(found, made)),
        result=headline(found),
        small=made.question,
        tiles=_tiles(found),
        top=(),
        sections=tuple(_sections(found, made, look, reports)),
        regions=made.regions,
        source=f"Made by bench {made.bench_version} from the runs named in the table of probes: {made.command}",
    )


def _heading(found: Capacity) -> str:
    knee = found.knee
    if knee.low is None:
        return "NO LIMIT FOUND"
    return f"{'' if knee.high else 'AT LEAST '}{rate(knee.low)} SESSIONS/S"


def _reasons(found: Capacity, made: Made) -> Iterator[str]:
    yield from advice(found, made)
    yield from weakest_sentence(found)
    if found.sizing:
        yield sizing_sentence(found.sizing)
    if not found.is_finished:
        yield "The search was not finished; the interval is wider than it could be."
    yield from (
        sentence for sentence in replay_sentences(found) if "NOT shown" in sentence or "not replayed" in sentence
    )


def _tiles(found: Capacity) -> tuple[Tile, ...]:
    knee, each = found.knee, found.orders_per_session
    orders = rate(knee.low * each * 60) if knee.low and each else MISSING
    limited = found.limited_by[0].what if found.limited_by else MISSING
    return (
        Tile("holds up to", f"{rate(knee.low)}/s", "sessions; lower end of the interval"),
        Tile("breaks from", f"{rate(knee.high)}/s", "sessions; upper end of the interval"),
        Tile("orders", f"{orders}/min", f"{each:.3g} a session" if each else "none were placed"),
        Tile("limited by", limited, "at the lowest rate that broke"),
    )


def _sections(found: Capacity, made: Made, look: Look, reports: Mapping[str, str]) -> Iterator[Section]:
    yield Section("rates", "What happens as the rate grows?", (_rates(found, look),))
    yield Section("limits", "Up to which rate does the objective hold?", (_limits(found),))
    if found.sizing:
        yield Section("orders", "What do the wanted orders need?", (Text(sizing_sentence(found.sizing)),))
    yield Section("cause", "What limited it?", tuple(_cause(found)))
    yield Section("replay", "Does the recommendation hold, and break above it?", tuple(_replay(found)))
    yield Section("law", "How does throughput follow concurrency?", tuple(_law(found)))
    yield Section("little", "Do the clocks agree? (Little's law)", tuple(_little(found)))
    yield Section("probes", "Which probes were made?", tuple(_probes(found, reports)))
    yield Section("assumptions", "What does the answer take for granted?", tuple(map(Text, assumptions(made))))
    yield Section("method", "How was it measured?", tuple(map(Text, _method(found, made))))


def _rates(found: Capacity, look: Look) -> Figure:
    alt = f"Goodput and response p99 of {len(found.probes)} probes against the rate offered. {headline(found)}"
    return Figure(
        "rates",
        "What happens as the rate grows?",
        figures.rates(found, look, alt),
        alt,
        f"n = {len(found.probes)} probes.",
    )


def _limits(found: Capacity) -> Block:
    head = ("region", "#share of sessions", "sessions/s of all regions", "sessions/s of its own")
    rows = [
        (region_cell(limit.region), share(limit.share), interval(limit.knee), interval(own(limit)))
        for limit in found.limits
    ]
    followed = found.objective.region or "all regions together"
    note = (
        f"The search follows {followed}; the other limits are read off the same probes, each by the requests of its own "
        "region, and their intervals are as wide as these leave them. At least: it held at the highest rate that was probed."
    )
    return table("The limit, with its 95 % interval", head, rows, note)


def _cause(found: Capacity) -> Iterator[Block]:
    if not found.limited_by:
        yield Text("No probe broke the objective, so nothing is known to limit the server.")
        return
    rows = [(limit.what, limit.evidence) for limit in found.limited_by]
    yield table("Seen at the lowest rate that broke", ("what", "evidence"), rows)


def _replay(found: Capacity) -> Iterator[Block]:
    for number, sentence in enumerate(replay_sentences(found)):
        shown = number < len(found.replays) and found.replays[number].as_expected
        yield Text(sentence, "good" if shown else "caution")


def _law(found: Capacity) -> Iterator[Block]:
    usl = found.usl
    yield Text(usl_sentence(found))
    if usl.points:
        alt = f"Throughput against concurrency of {len(usl.points)} probes. {usl_sentence(found)}"
        title = "How does throughput follow concurrency?"
        yield Figure(
            "law", title, figures.law(usl, alt), alt, f"n = {len(usl.points)} probes; shaded: the interval of N*."
        )
    if usl.held_out is not None:
        yield Text(f"A fit without the largest N predicts its throughput with an error of {usl.held_out:+.1%}.")
    named = (("gamma, sessions/s of one user", usl.gamma), ("alpha", usl.alpha), ("beta", usl.beta), ("N*", usl.peak_n))
    rows = [(name, *_numbers(value)) for name, value in named if value]
    if rows:
        yield table("Parameters with 95 % intervals", ("parameter", "#estimate", "#from", "#to"), rows)


def _numbers(value: Interval) -> tuple[str, str, str]:
    return f"{value.value:.4g}", f"{value.low:.4g}", f"{value.high:.4g}"


def _little(found: Capacity) -> Iterator[Block]:
    yield Text(f"{little_sentence(found)} of the probes.")
    rows = [
        (
            count(probe.number),
            _digits(probe.little.by_times),
            _digits(probe.little.by_counts),
            MISSING if probe.little.residual is None else f"{probe.little.residual:+.1%}",
            MISSING if probe.little.allowed is None else f"{probe.little.allowed:.1%}",
            _passed(probe),
        )
        for probe in found.probes
    ]
    head = ("probe", "#rate × response", "#counted", "#difference", "#allowed", "agree")
    note = "Mean sessions in the system, over the whole run; allowed are 5 % and what counting once a second may miss."
    yield table("Little's law by probe", head, rows, note)


def _digits(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3g}"


def _passed(probe: Probe) -> Cell:
    passed = probe.little.passed
    return Cell(MISSING) if passed is None else Cell("yes", "good") if passed else Cell("no", "bad")


def _probes(found: Capacity, reports: Mapping[str, str]) -> Iterator[Block]:
    head = (
        "probe",
        "for",
        "#offered/s",
        "outcome",
        "#over the limit",
        "#p50",
        "#p99",
        "#measured",
        "generator",
        "why",
        "run",
    )
    rows = [
        (
            count(probe.number),
            probe.purpose,
            rate(probe.rate),
            Cell(probe.verdict, _KINDS[probe.verdict]),  # type: ignore[arg-type]  # the table has the four verdicts
            share(result.share),
            ms(result.p50_ms),
            ms(result.p99_ms),
            seconds(float(probe.seconds)),
            probe.validity,
            result.reason,
            Cell(probe.run_id, "code", link=reports.get(probe.run_id, "")),
        )
        for probe, result in ((probe, probe.of(found.objective.region)) for probe in found.probes)
    ]
    note = (
        "The name of a run leads to its report, for as long as its folder is beside this one. A probe that was clear before "
        "its time is INTERRUPTED there."
    )
    yield table("Probes in the order in which they were made", head, rows, note)


def _method(found: Capacity, made: Made) -> Iterator[str]:
    yield (
        f"Every probe is a run at a constant rate: {format_duration(made.warm_up_s)} warm-up, then at most "
        f"{format_duration(made.longest_s)} measured. It ends as soon as a test on its seconds is clear; the test allows for "
        "requests that follow each other being alike."
    )
    yield (
        "The rate is doubled until the objective breaks; then probes go below and above the middle of the interval in turn. "
        "The interval is the middle 95 % of a posterior for the rate at which the share over the limit is the allowed one, "
        "from all probes of the search. Replays are not in it."
    )
    if found.grid_probes is not None:
        made_ = sum(probe.purpose == "search" for probe in found.probes)
        yield f"The search took {made_} probes; a grid of 5 % steps from the same start would take {found.grid_probes}."
