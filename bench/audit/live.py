"""The audit while load goes on: the same rules, each time from one snapshot.

Every rule is about committed rows and holds after each commit, so a snapshot at any moment must satisfy it.  The journal
grows meanwhile, so it is compared in one direction only: an order acknowledged before the snapshot began must be in it;
what is not acknowledged yet may be there or not.  Each order is looked for once, in the first audit after its
acknowledgement; the audit after the run looks for all of them again.  May import ``bench.db`` and ``metrics``.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from bench.audit.audit import Execute, check_rule
from bench.audit.journal import Comparison, Order, RunWindow
from bench.audit.rules import RULES, Rule
from bench.metrics.frame import Check, JournalEntry
from bench.metrics.outcome import Finding

BATCH = 200
"""Orders looked up at a time: comparing them keeps the process busy for two milliseconds."""
KEPT = "journal_kept"
_TITLE = "every acknowledged order is there once, as acknowledged"
_WINDOW = RunWindow(datetime(1970, 1, 1, tzinfo=UTC), "")


@dataclass(slots=True)
class LiveAudit:
    """Checks rules again and again; ``broken`` keeps the first finding of each rule that did not hold.

    ``clock`` returns seconds since the start of the run; ``breathe`` lets the load go on between two pieces of work.
    ``delay_s`` is how far before its beginning the snapshot may be: younger acknowledgements wait for the next audit.
    """

    clock: Callable[[], float]
    breathe: Callable[[], None]
    delay_s: float = 0.0
    rules: Sequence[Rule] = RULES
    broken: dict[str, Finding] = field(default_factory=dict)
    _arrived: deque[JournalEntry] = field(default_factory=deque)
    _looking_for: tuple[JournalEntry, ...] = ()

    def take(self, entries: Iterable[JournalEntry]) -> None:
        """Take acknowledged orders to be looked for; may be called from another thread."""
        self._arrived.extend(entries)

    def begin(self) -> None:
        """Settle which orders the next snapshot must hold; to be called before it is begun."""
        # One by one from the front: another thread may add at the end meanwhile.
        arrived = [self._arrived.popleft() for _ in range(len(self._arrived))]
        before = self.clock() - self.delay_s
        late = [entry for entry in arrived if entry.elapsed_s > before]
        # What an audit that was cut off did not get to is looked for by the next.
        self._looking_for += tuple(entry for entry in arrived if entry.elapsed_s <= before)
        self._arrived.extend(late)

    def check(self, execute: Execute) -> Iterator[Check]:
        """Yield what each rule finds in the snapshot behind ``execute``."""
        began_s = self.clock()
        for rule in self.rules:
            self.breathe()
            started = self.clock()
            yield self._checked(check_rule(execute, rule), began_s, started)
        started = self.clock()
        yield self._checked(self._compare(execute), began_s, started)
        self._looking_for = ()

    def _checked(self, finding: Finding, began_s: float, started: float) -> Check:
        if not finding.passed and finding.rule not in self.broken:
            self.broken[finding.rule] = replace(finding, detail=f"at {began_s:.1f} s: {finding.detail}")
        took_ms = (self.clock() - started) * 1000
        return Check(began_s, took_ms, finding.rule, finding.passed, finding.violations, finding.detail)

    def _compare(self, execute: Execute) -> Finding:
        faults: list[dict[str, str]] = []
        entries = self._looking_for
        by_region: dict[str, list[JournalEntry]] = {}
        for entry in entries:
            by_region.setdefault(entry.region, []).append(entry)
        for region, waiting in by_region.items():
            for start in range(0, len(waiting), BATCH):
                self.breathe()
                faults += _faults(execute, region, waiting[start : start + BATCH])
        detail = f"{len(entries)} orders acknowledged since the last audit, {len(faults)} missing or different"
        return Finding(KEPT, _TITLE, not faults, len(faults), tuple(faults[:3]), "", detail)


def _faults(execute: Execute, region: str, entries: list[JournalEntry]) -> Iterable[dict[str, str]]:
    _, rows = execute("journalled_orders", {"region": region, "ids": [entry.order_id for entry in entries]})
    comparison = Comparison(entries, _WINDOW)
    comparison.add(map(Order._make, rows))
    return comparison.faults()


def with_live(findings: Sequence[Finding], broken: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the findings after the run with those from during it that they do not show: it was wrong, even if no more."""
    failed = {finding.rule for finding in findings if not finding.passed}
    gone = [finding for finding in broken if finding.rule not in failed]
    return (
        *findings,
        *(replace(finding, rule=f"{finding.rule}_live", title=f"{finding.title} (during the run)") for finding in gone),
    )
