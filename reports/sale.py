"""What a sale did to others, and whether it was fair."""

from collections.abc import Sequence

from bench.stats.blast import BlastRow, Ratio
from bench.stats.fairness import Fairness

from .facts import Facts
from .model import Row, Section, Text, region_cell, table
from .numbers import MISSING, chance, count, ms, share


def blast_radius(facts: Facts) -> tuple[Section, ...]:
    """The response times of those who do not touch what is on sale, before and during the sale; none without a sale."""
    if facts.summary.t0_s is None or not facts.manifest.hot_sessions:
        return ()
    rows = facts.summary.blast
    if not rows:
        text = "Too few sessions ended before or during the sale to compare them."
        return (Section("blast", "Did the others feel the sale?", (Text(text),)),)
    whole = rows[-1]
    head = (
        *("region", "#sessions before", "#during", "#p50 before", "#p50 during", "#p50 ratio"),
        *("#p99 before", "#p99 during", "#p99 ratio"),
    )
    hot = ", ".join(facts.manifest.hot_sessions)
    note = (
        f"Response times of all sessions but {hot}, in measured phases before and from the opening of the sale; what was "
        "given up on counts with the time it had waited. In brackets: 95 % interval, bootstrap over blocks of seconds. "
        f"{facts.distance_note}"
    )
    caption = "Sessions that do not touch what is on sale"
    made = table(caption, head, [_blast_row(row) for row in rows], note.strip())
    return (Section("blast", "Did the others feel the sale?", (_blast_text(whole, rows[:-1]), made)),)


def _blast_text(whole: BlastRow, regions: Sequence[BlastRow]) -> Text:
    ratio = whole.p99_ratio
    # A region whose shoppers stand near the server feels what the others' distance hides.
    felt = [row for row in regions if row.p99_ratio.is_clear and row.p99_ratio.value > 1]
    if felt and not (ratio.is_clear and ratio.value > 1):
        where = ", ".join(f"{row.region} ({_ratio(row.p99_ratio)} times)" for row in felt)
        return Text(f"Yes in {where}: p99 during the sale against before it, with the 95 % interval.", "caution")
    if ratio.low is None or ratio.high is None:
        return Text(f"Their p99 was {ratio.value:.2f} times that before the sale; too few seconds for an interval.")
    times = f"{ratio.value:.2f} times that before the sale (95 % interval {ratio.low:.2f} to {ratio.high:.2f})"
    if not ratio.is_clear:
        return Text(f"Not clearly: their p99 was {times}, which includes no change at all.", "good")
    if ratio.value > 1:
        return Text(f"Yes: their p99 was {times}.", "caution")
    return Text(f"No: their p99 was {times}.", "good")


def _blast_row(row: BlastRow) -> Row:
    return (
        region_cell(row.region),
        *(count(row.before_count), count(row.during_count)),
        *(ms(row.before_p50_ms), ms(row.during_p50_ms), _ratio(row.p50_ratio)),
        *(ms(row.before_p99_ms), ms(row.during_p99_ms), _ratio(row.p99_ratio)),
    )


def _ratio(ratio: Ratio) -> str:
    if ratio.low is None or ratio.high is None:
        return f"{ratio.value:.2f}"
    return f"{ratio.value:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]"


def fairness(facts: Facts) -> tuple[Section, ...]:
    """Who got what was scarce, by region and by order of arrival; none where nobody contended."""
    found = facts.summary.fairness
    if found is None:
        return ()
    rows: list[Row] = [
        (
            region_cell(row.region),
            *(count(row.wanted), count(row.served), share(row.wanted_share), share(row.served_share)),
            MISSING if row.inversions is None else f"{row.inversions:.3f}",
            count(row.attempts_p99),
        )
        for row in found.rows
    ]
    head = (
        *("region", "#buyers", "#served", "#share of buyers", "#share of those served"),
        *("#inversions", "#attempts p99"),
    )
    note = (
        "Inversions: the share of pairs of a refused and a served buyer of the same thing in which the refused one should "
        "have begun first; 0 is a queue, 0.5 a lottery. Of the whole run."
    )
    made = table("Who got what was scarce", head, rows, f"{note} {facts.distance_note}".strip())
    return (Section("fairness", "Was it fair between regions and arrivals?", (Text(_fair_text(found)), made)),)


def _fair_text(found: Fairness) -> str:
    if found.p_value is None:
        return "Too few buyers were served or refused to say whether regions were treated alike."
    if found.p_value < 0.05:
        return f"Regions were not treated alike: chance alone differs as much with a chance of {chance(found.p_value)}."
    return f"No difference between regions beyond chance (p = {chance(found.p_value)})."
