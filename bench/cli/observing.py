"""What looks at the server while a run puts load on it, as the scenario asks for it."""

from dataclasses import dataclass, replace
from functools import partial

import gevent
from gevent.pool import Pool

from bench.audit.live import LiveAudit
from bench.cli.live_audit import LiveAuditor
from bench.cli.options import TargetOptions
from bench.db.catalogue import Catalogue
from bench.db.dialects import dialect_named
from bench.db.observe import PLACEMENT, PLACEMENT_TIMEOUT_S, CounterReader, Observer
from bench.db.observe_nodes import Node, NodeReader
from bench.errors import UsageError
from bench.load.beside import Companion, CounterWatch, LastLook
from bench.scenario.model import Scenario
from bench.target.base import Target

_NODES_AT_ONCE = 16
_NODES_TIMEOUT_S = 15.0
"""For all nodes; each has less (NODE_TIMEOUT_S), so that one that hangs costs its own figures alone."""


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
    if target.metrics:
        companions.append(CounterWatch(_node_reader(target), _ends(scenario), timeout_s=_NODES_TIMEOUT_S))
    if scenario.counters and "leaseholders" in catalogue:
        # After all that counts: this one makes the nodes work.
        look = CounterReader(target.admin_url, catalogue, prefix, sources=PLACEMENT, timeout_s=PLACEMENT_TIMEOUT_S)
        companions.append(LastLook(look, _ends(scenario), 2 * PLACEMENT_TIMEOUT_S))
    audit = None
    if scenario.audit_every:
        dialect = dialect_named(target.dialect)
        delay_s, options = dialect.live_audit_delay_s, dialect.live_audit_options
        auditor = LiveAuditor(target.admin_url, catalogue, scenario.audit_every, delay_s, options)
        companions.append(auditor)
        audit = auditor.audit
    return Observation(observer, tuple(companions), audit)


def with_metrics(target: Target, options: TargetOptions) -> Target:
    """Return the target with the addresses of its nodes' metrics as given; UsageError for a region that it does not have.

    Of the cluster on this machine, which brings its own, those of the run's regions.
    """
    found: dict[str, tuple[str, ...]] = {}
    for region, address in options.metrics:
        if region not in target.regions:
            if options.is_cluster:
                continue
            raise UsageError(
                f"--metrics names region '{region}', which is not in the run",
                hint=f"its regions are {', '.join(target.regions)}",
            )
        found[region] = (*found.get(region, ()), address)
    return replace(target, metrics=found) if found else target


def _node_reader(target: Target) -> NodeReader:
    nodes = [Node.at(region, address) for region, addresses in target.metrics.items() for address in addresses]
    return NodeReader(nodes, Pool(_NODES_AT_ONCE).map, partial(gevent.sleep, 0))


def _ends(scenario: Scenario) -> tuple[tuple[str, float], ...]:
    ends, end = [], 0.0
    for phase in scenario.phases:
        end += phase.duration
        ends.append((phase.name, end))
    return tuple(ends)
