"""The later sections of a page: stock, statements, slow transactions, audit, server, environment, definitions."""

from collections.abc import Sequence

from bench.metrics.frame import SlowSample
from bench.metrics.outcome import Finding, StockRow
from bench.stats.verdict import plural
from bench.units import format_bytes

from . import figures
from .facts import Facts
from .model import Block, Cell, Code, Figure, Folded, Row, Text, table
from .numbers import MISSING, clock, count, ms, rate, seconds, share, signed


def stock(facts: Facts) -> tuple[Block, ...]:
    """Units offered, sold, oversold and left; when they were gone; and who got them."""
    rows = facts.summary.stock
    if not rows:
        text = "The run recorded no stock: the scenario has no sale, or the run ended before its stock was counted."
        return (Text(text), *_wins(facts))
    oversold = facts.summary.oversold
    if oversold:
        lead = Text(f"OVERSOLD: {plural(oversold, 'unit')} sold that did not exist.", "bad")
    else:
        left = sum(row.left for row in rows)
        lead = Text(f"Nothing was oversold; {plural(left, 'unit')} left.", "good")
    alt = "Units sold, left and oversold by item and warehouse region; the table holds the values."
    drawn = Figure(
        "stock",
        "Did the sale sell exactly what it had?",
        figures.stock(rows, facts.look, alt),
        alt,
        "A colour is the region of the warehouse." + (" The first 24 rows are drawn." if len(rows) > 24 else ""),
    )
    head = ("item", "warehouse region", "#offered", "#sold", "#oversold", "#left", "#sold out after")
    note = "Sold out after: from the opening of the sale to the commit of the last unit offered."
    return lead, drawn, table("Stock, in units", head, [_stock_row(row) for row in rows], note), *_wins(facts)


def _stock_row(row: StockRow) -> Row:
    over = Cell(count(row.oversold), "bad") if row.oversold else Cell("0", "number")
    gone = seconds(row.sold_out_after_s) if row.sold_out_after_s is not None else "not sold out"
    return row.item, Cell(row.region, "region"), count(row.offered), count(row.sold), over, count(row.left), gone


def _wins(facts: Facts) -> tuple[Block, ...]:
    wins = facts.summary.wins
    if not wins:
        return ()
    offered = {row.region: row.offered for row in facts.summary.arrivals}
    total = sum(offered.values())
    rows: list[Row] = [
        (
            Cell(win.region, "region"),
            share(offered.get(win.region, 0) / total) if total else MISSING,
            count(win.orders),
            count(win.units),
            share(win.share),
        )
        for win in wins
    ]
    head = ("shoppers of", "#share of sessions offered", "#orders", "#units won", "#share of units won")
    note = f"From the whole run's acknowledged orders of products on sale, cancelled ones aside. {facts.distance_note}"
    return (table("Who won? Units by the region of the shopper", head, rows, note),)


_SLICES_SHOWN = 12
_CHECKS_SHOWN = 60


def slow_samples(facts: Facts) -> tuple[Block, ...]:
    """The slowest hundredth taken apart, then the slowest transactions one by one."""
    found = facts.summary.tail
    if found is None:
        return (Text("No slow transaction of a measured phase was recorded."),)
    sign = "≥ " if found.threshold_at_least else ""
    kept = (
        f"Taken apart: {plural(found.samples, 'transaction')} of about {count(found.at_or_above)} as slow as p99 "
        f"({sign}{ms(found.threshold_ms)}). Of each second the five slowest are kept, so a calm second shows its own "
        "slowest, and of a second with many slow ones only the worst."
    )
    slices: list[Row] = [
        (part.name, share(part.share), ms(part.mean_ms), ms(part.usual_ms)) for part in found.slices[:_SLICES_SHOWN]
    ]
    head = ("part", "#share of the time", "#mean in these", "#median of all")
    note = "A statement's median is over the whole run, its emulated distance included; the parts are without it."
    blocks: list[Block] = [
        Text(f"{found.sentence}."),
        Text(kept),
        table("Where the slowest hundredth spends its time", head, slices, note),
    ]
    if found.key or found.reasons:
        aborted = ", ".join(f"{reason} {count(n)}" for reason, n in found.reasons) or "none"
        keys = f"{found.key} in {found.key_samples} of {found.samples}" if found.key else "none named"
        blocks.append(Text(f"What they contended for: {keys}. Their aborted attempts: {aborted}."))
    return (*blocks, Folded("The ten slowest, one by one", (_slowest(facts, found.slowest),)))


def _slowest(facts: Facts, samples: Sequence[SlowSample]) -> Block:
    rows: list[Row] = [
        (
            *(clock(s.elapsed_s), s.phase, Cell(s.region, "region"), s.transaction, s.outcome),
            *map(ms, (s.response_ms, s.dispatch_ms, s.wait_ms, s.service_ms, s.backoff_ms)),
            *(count(s.attempts), s.key or MISSING, _breakdown(s)),
        )
        for s in samples
    ]
    head = (
        *("#at", "phase", "region", "transaction", "outcome"),
        *("#response", "#late generator", "#wait for a user", "#service", "#back-off", "#attempts"),
        *("key", "time by statement"),
    )
    return table("The slowest transactions of the measured phases", head, rows, facts.distance_note)


def _breakdown(sample: SlowSample) -> str:
    slowest = sorted(sample.statements, key=lambda item: -item[1])
    return ", ".join(f"{name} {ms(spent)}" for name, spent, *_ in slowest[:4]) or "not recorded"


def audit(facts: Facts) -> tuple[Block, ...]:
    """The rules of the audit; each broken one with its witness and the SQL to look at it."""
    summary = facts.summary
    if not summary.is_audited:
        return (Text("The audit did not run, so nothing is known about the data.", "caution"), *checks(facts))
    broken = summary.broken
    if broken:
        lead = Text(f"{len(broken)} of {plural(len(summary.findings), 'rule')} do not hold.", "bad")
    else:
        lead = Text(f"All {plural(len(summary.findings), 'rule')} hold.", "good")
    rows: list[Row] = [
        (
            Cell(finding.rule, "code"),
            finding.title,
            Cell("holds", "good") if finding.passed else Cell("BROKEN", "bad"),
            count(finding.violations),
            finding.detail,
        )
        for finding in sorted(summary.findings, key=lambda finding: finding.passed)
    ]
    rules = table("Rules", ("rule", "says", "result", "#violations", "detail"), rows)
    return lead, rules, *checks(facts), *(block for finding in broken for block in _witness(finding))


def checks(facts: Facts) -> tuple[Block, ...]:
    """What the audit found while the run went on."""
    found = facts.summary.checks
    if not found:
        return ()
    broken = [check for check in found if not check.passed]
    moments = sorted({check.elapsed_s for check in found})
    slowest = max(check.took_ms for check in found)
    result = f"{plural(len(broken), 'check')} did not hold" if broken else "every rule held in each of them"
    line = (
        f"While the run went on, {plural(len(moments), 'snapshot')} of the data were looked at: {result}. "
        f"The longest look took {ms(slowest)}."
    )
    rows: list[Row] = [
        (
            clock(check.elapsed_s),
            Cell(check.rule, "code"),
            Cell("holds", "good") if check.passed else Cell("BROKEN", "bad"),
            count(check.violations),
            ms(check.took_ms),
            check.detail,
        )
        for check in sorted(found, key=lambda check: (check.passed, check.elapsed_s))[:_CHECKS_SHOWN]
    ]
    head = ("#at", "rule", "result", "#violations", "#took", "detail")
    note = f"The first {len(rows)} of {len(found)}, broken ones first." if len(found) > len(rows) else ""
    return Text(line, "bad" if broken else "good"), Folded(
        "Audits during the run", (table("Checks during the run", head, rows, note),)
    )


def _witness(finding: Finding) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if finding.witness:
        columns = list(dict.fromkeys(name for row in finding.witness for name in row))
        rows: list[Row] = [tuple(row.get(name, MISSING) for name in columns) for row in finding.witness]
        blocks.append(table(f"Witness of '{finding.rule}': rows that show it", columns, rows))
    if finding.look:
        blocks += [Text(f"To see them ({finding.rule}):"), Code(finding.look)]
    return tuple(blocks)


def server(facts: Facts) -> tuple[Block, ...]:
    """The server's own counters."""
    if not facts.server:
        return (Text("No counters of the server were recorded."),)
    rows: list[Row] = [
        (
            Cell(r.name, "code"),
            signed(r.first),
            signed(r.last),
            MISSING if r.growth is None else signed(r.growth),
            rate(r.per_s),
        )
        for r in facts.server
    ]
    head = ("counter", "#first", "#last", "#growth", "#per second")
    caption = "Counters of the server, over the whole run (not only by this load, if others used it)"
    unknown = any(row.growth is None for row in facts.server)
    note = "No growth: a level, such as how many wait now, or a counter that was set back meanwhile." if unknown else ""
    return (Folded(f"{plural(len(rows), 'counter')}", (table(caption, head, rows, note),)),)


def environment(facts: Facts) -> tuple[Block, ...]:
    """Machine, versions, settings and files."""
    run, machine = facts.manifest, facts.manifest.machine
    memory = format_bytes(machine.memory_bytes) if machine.memory_bytes else "not known"
    git = f"{run.git.commit[:12]}{' with local changes' if run.git.dirty else ''}" if run.git else "not a git checkout"
    rows: list[Row] = [
        ("run", Cell(run.run_id, "code")),
        ("bench", run.bench_version),
        ("git", git),
        (
            "generator",
            f"{plural(machine.cpus, 'CPU')}{f' ({machine.cpu_model})' if machine.cpu_model else ''}, {memory} of memory",
        ),
        ("system", f"{machine.os}, Python {machine.python}"),
        ("libraries", ", ".join(f"{name} {version}" for name, version in run.versions.items()) or "not recorded"),
        ("schema fingerprint", Cell(run.schema_fingerprint or "not recorded", "code")),
        ("data fingerprint", Cell(run.data.fingerprint, "code")),
        ("files", Cell(", ".join(facts.files), "code")),
    ]
    settings: list[Row] = [
        (Cell(name, "code"), Cell(value, "code")) for name, value in sorted(run.target.settings.items())
    ]
    blocks: list[Block] = [table("Environment", ("what", "value"), rows)]
    if settings:
        blocks.append(Folded("Settings of the server", (table("Settings", ("setting", "value"), settings),)))
    return tuple(blocks)


_WORDS = (
    ("transaction", "one business action with one commit, the unit that is counted and timed"),
    ("session", "all that one shopper does in one visit: one or more transactions; the schedule offers sessions"),
    ("offered, started, dropped", "sessions due by the schedule; begun by a user; never begun, and always counted"),
    ("answered", "ended with a commit or with a business no (sold out, declined); failures are counted apart"),
    ("response time", "from the intended start to the final answer: waiting to be started counts"),
    ("service time", "from the first attempt to the final answer, retries and back-off included"),
    ("schedule lag", "from the intended start to the real one; dispatch lag is the generator's own part of it"),
    ("attempt, retry, abort", "one execution of a transaction's body; one after the first; one that the server ended"),
    ("attempts per commit", "attempts of committed transactions divided by their number; 1.000 means no retry"),
    ("cost of retries", "the time of aborted attempts and of the back-off that followed them"),
    ("percentile", "nearest rank on merged histograms, within 0.05 %; maximum and counts are exact; none is averaged"),
    (
        "≥",
        "a bound: the answer that the figure depends on was not seen (given up, in flight at the end, dropped), and the true "
        "figure is not below it",
    ),
    ("attempt time", "one execution of a transaction's body, from BEGIN to COMMIT or an error"),
    ("drain", "the time after the last phase in which sessions in flight end: in the times, not in the rates"),
    ("measured", "phases of the scenario without its warm-up; rates are counts per measured second"),
    (
        "emulated distance",
        "a round trip slept by the client before each exchange, where users and server share one place",
    ),
)


def definitions(facts: Facts) -> tuple[Block, ...]:
    """The words of the page."""
    measured = seconds(facts.summary.measured_s) if facts.summary.measured_s else "none"
    note = (
        f"Measured time of this run: {measured}. Every figure can be traced to run.sqlite, which any SQLite tool opens."
    )
    return (table("Definitions", ("word", "means"), _WORDS, note),)
