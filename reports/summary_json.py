"""The summary as JSON, for programs; its form is summary.schema.json (JSON Schema, draft 2020-12)."""

import dataclasses
import json
from importlib.resources import files
from typing import Any

from bench.results.manifest import Manifest
from bench.stats.records import Summary
from bench.stats.verdict import Headline

# 1  first form.
# 2  bounds of percentiles, answers in the drain, start error, mix and phases, ledger of retries, tail, blast radius,
#    fairness, counters of the server by phase, audits during the run, workers.
# 3  intervals, distance, cross-checks of the server's counts, objectives; a statement of a slow sample may be marked.
SCHEMA_VERSION = 3


def summary_document(manifest: Manifest, summary: Summary, head: Headline) -> dict[str, Any]:
    """Return the summary as plain values: times in ms, rates per measured second, null for what is not known."""
    target = manifest.target
    return {
        "schema_version": SCHEMA_VERSION,
        "run": {
            "id": manifest.run_id,
            "scenario": manifest.scenario_name,
            "workload": manifest.workload,
            "strategy": manifest.strategy,
            "created_utc": manifest.created_utc,
            "command": manifest.command,
            "bench_version": manifest.bench_version,
            "seed": manifest.seed,
            "regions": list(manifest.regions),
            "target": {
                "kind": target.kind,
                "dialect": target.dialect,
                "server_version": target.server_version,
                "variant": target.variant,
                "isolation": target.isolation,
            },
            "data": {"scale": manifest.data.scale, "fingerprint": manifest.data.fingerprint},
            "schema_fingerprint": manifest.schema_fingerprint,
            "git": manifest.git.model_dump() if manifest.git else None,
        },
        "headline": {"level": head.level, "title": head.title, "reasons": list(head.reasons), "result": head.result},
        **dataclasses.asdict(summary),
    }


def render_json(manifest: Manifest, summary: Summary, head: Headline) -> str:
    """Return the document as text; a number that JSON does not have raises ValueError rather than becoming NaN."""
    return json.dumps(summary_document(manifest, summary, head), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def load_schema() -> dict[str, Any]:
    """Return the JSON Schema of summary.json."""
    schema: dict[str, Any] = json.loads((files("bench.reports") / "summary.schema.json").read_text(encoding="utf-8"))
    return schema
