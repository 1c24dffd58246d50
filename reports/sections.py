"""The sections of a page, in the order in which a reader needs them: first whether to believe it, then what it says."""

from bench.stats.records import ObjectiveRow

from .cluster import cluster
from .details import audit, definitions, environment, server, slow_samples, stock
from .facts import Facts
from .indexes import indexes
from .model import Block, Cell, Row, Section, table
from .numbers import MISSING
from .ran import over_time, what_ran
from .retried import retries
from .sale import blast_radius, fairness
from .served import served
from .statements import statements
from .transactions import distance, per_transaction, region_grid, tail
from .valid import validity


def top(facts: Facts) -> tuple[Block, ...]:
    """Return what stands beside the verdict: the objectives of the scenario, where it has some."""
    rows: list[Row] = [
        (row.objective, row.text, _margin(row), Cell("holds", "good") if row.passed else Cell("MISSED", "bad"))
        for row in facts.summary.objectives
    ]
    note = "Margin: how far the figure is from its limit, as a share of it; below zero it is beyond."
    return (table("Objectives", ("objective", "#measured", "#margin", "result"), rows, note),) if rows else ()


def _margin(row: ObjectiveRow) -> str:
    if row.value is None or not row.limit:
        return MISSING
    margin = 100 * (1 - row.value / row.limit) * (-1 if row.metric == "committed_per_s" else 1)
    return f"{margin:+.0f} %"


def sections(facts: Facts) -> tuple[Section, ...]:
    """Return the sections of the page of a run."""
    return (
        Section("validity", "Was the measurement valid?", validity(facts)),
        Section("what", "What ran?", what_ran(facts)),
        Section("timeline", "What happened over time?", over_time(facts)),
        Section("transactions", "How fast was each transaction?", per_transaction(facts)),
        Section("tail", "How long is the tail in each region?", tail(facts)),
        Section("regions", "How do regions and transactions compare?", region_grid(facts)),
        Section("distance", "How much of the time is distance?", distance(facts)),
        Section("retries", "Where do retries come from, and what do they cost?", retries(facts)),
        Section("stock", "Did the sale sell exactly what it had?", stock(facts)),
        *blast_radius(facts),
        *fairness(facts),
        Section("slow", "What are the slowest transactions made of?", slow_samples(facts)),
        Section("statements", "Which statements take the time?", statements(facts)),
        *indexes(facts),
        Section("audit", "Is the data right?", audit(facts)),
        Section("server", "What did the server count?", (*cluster(facts), *served(facts), *server(facts))),
        Section("environment", "Where did it run?", environment(facts)),
        Section("definitions", "What do the words mean?", definitions(facts)),
    )
