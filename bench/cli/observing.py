"""What looks at the server while a run puts load on it, as the scenario asks for it."""

from dataclasses import dataclass
from functools import partial

import gevent

from bench.audit.live import LiveAudit
from bench.cli.live_audit import COCKROACH_DELAY_S, ONE_CORE, LiveAuditor
from bench.db.catalogue import Catalogue
from bench.db.observe import CounterReader, Observer
from bench.load.beside import Companion, CounterWatch
from bench.scenario.model import Scenario
from bench.target.base import Target


@dataclass(frozen=True, slots=True)
class Observation:
    """The reader of each frame's counters, what works beside the load, and the audit among it if there is one."""

    observer: Observer
    companions: tuple[Companion, ...]
    audit: LiveAudit | None


def observation(target: Target, catalogue: Catalogue, scenario: Scenario, run_id: str) -> Observation:
    """Return what is to observe a run."""
    prefix = f"shopbench/{run_id}/"
    observer = Observer(target.admin_url, catalogue, prefix)
    companions: list[Companion] = []
    if scenario.counters:
        reader = CounterReader(target.admin_url, catalogue, prefix, partial(gevent.sleep, 0))
        companions.append(CounterWatch(reader, _ends(scenario), observer.sampled))
    audit = None
    if scenario.audit_every:
        delay_s, options = (0.0, ONE_CORE) if target.dialect == "postgres" else (COCKROACH_DELAY_S, ())
        auditor = LiveAuditor(target.admin_url, catalogue, scenario.audit_every, delay_s, options)
        companions.append(auditor)
        audit = auditor.audit
    return Observation(observer, tuple(companions), audit)


def _ends(scenario: Scenario) -> tuple[tuple[str, float], ...]:
    ends, end = [], 0.0
    for phase in scenario.phases:
        end += phase.duration
        ends.append((phase.name, end))
    return tuple(ends)
