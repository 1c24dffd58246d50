"""What a worker is told of the run: its part, with everything that decides it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bench.db.connection import without_password
from bench.load.plan import Plan
from bench.team.members import Member
from bench.team.messages import Part, digest


@dataclass(frozen=True, slots=True)
class Briefing:
    """What the workers have to know besides the plan."""

    run_tag: str
    settings: Mapping[str, Any]


def part_of(plan: Plan, briefing: Briefing, member: Member) -> Part:
    """Return the part of a member, whose share has been made."""
    target = plan.target
    return Part(
        worker=member.name,
        run_id=plan.run_id,
        run_tag=briefing.run_tag,
        # Defaults are left out, because some keys may not be given at all where they mean nothing.
        scenario=plan.scenario.model_dump_json(exclude_defaults=True),
        settings=dict(briefing.settings),
        schedule_digest=digest(plan.schedule),
        target={
            "kind": target.kind,
            "dialect": target.dialect,
            "server_version": target.server_version,
            "variant": target.variant,
            "gateways": {r: [without_password(url) for url in urls] for r, urls in target.gateways.items()},
            "distance_ms": dict(target.distance_ms),
            "checks_gateway": target.checks_gateway,
        },
        share=member.share,
        sale_regions=target.regions,
    )
