"""``bench run --variants``: the scenario on each schema variant in turn, on fresh databases, and the table of them."""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from bench.cli import console
from bench.cli.bakeoff import CARRY_ON, run_cell
from bench.cli.options import TargetOptions
from bench.cli.planning import ResolvedPlan
from bench.cli.variants_places import Place, places
from bench.cli.variants_table import variants_markdown, variants_text
from bench.db.ddl import source
from bench.errors import ExitCode, UsageError
from bench.results.read import Run
from bench.results.store import write_atomically
from bench.results.summarise import summarise_run
from bench.stats.variants import Material, VariantCell, VariantRun, variant_cells, variant_run

_ELSEWHERE = {"--variants": 1, "--yes": 0, "--url": 1, "--gateway": 1, "--target": 1, "--metrics": 1}
"""Options that are given anew to each variant's own command, and how many values each has."""


def parse_variants(text: str) -> tuple[str, ...]:
    """Return the variants of a comma-separated list; UsageError unless they are two or more of one database."""
    known = source().VARIANTS
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UsageError(f"no schema variant named '{unknown[0]}'", hint=f"the variants are {', '.join(known)}")
    if len(set(names)) < max(2, len(names)):
        raise UsageError(
            f"'{text}' is not a list of two or more variants", hint="pass e.g. --variants pg,pg_partitioned"
        )
    if len({known[name].dialect for name in names}) > 1:
        raise UsageError(
            f"the variants {', '.join(names)} are of two databases",
            hint="compare variants of one: `bench compare` has runs",
        )
    return names


def run_variants(
    plan: ResolvedPlan,
    variants: Sequence[str],
    options: TargetOptions,
    arguments: Sequence[str],
    out: Path,
    *,
    yes: bool,
) -> int:
    """Run every variant with the arguments of this command, print the tables, and return the exit code."""
    found = places(variants, plan.spec, options, yes=yes)
    own = list(own_arguments(arguments))
    folders: list[tuple[str, Path]] = []
    code, codes = int(ExitCode.OK), set[int]()
    for number, place in enumerate(found, 1):
        console.note(f"\n[{number}/{len(found)}] {place.variant}, {place.database}")
        code, folder = _run_at(place, own)
        codes.add(code)
        if folder is not None:
            folders.append((place.variant, folder))
        if code not in CARRY_ON:
            break
    if folders:
        _conclude(plan, folders, out)
    return code if code not in CARRY_ON else worst(codes)


def worst(codes: Collection[int]) -> int:
    """Return the exit code for several runs: the one that a run with all of their faults would have.

    >>> worst({0, 1, 4}), worst({0, 4, 6}), worst({0})
    (4, 6, 0)
    """
    ranked = (ExitCode.DATA_WRONG, ExitCode.NOT_VALID, ExitCode.OBJECTIVE_FAILED)
    return int(next((code for code in ranked if code in codes), ExitCode.OK))


def own_arguments(arguments: Sequence[str]) -> Iterator[str]:
    """Yield the arguments of this command without those that say which variants and databases.

    >>> list(own_arguments(["run", "checkout", "--variants", "pg,pg_partitioned", "--url=u", "--rate", "9/s", "--yes"]))
    ['run', 'checkout', '--rate', '9/s']
    """
    skipped = 0
    for argument in arguments:
        if skipped:
            skipped -= 1
            continue
        name, equals, _ = argument.partition("=")
        if name in _ELSEWHERE:
            skipped = 0 if equals else _ELSEWHERE[name]
            continue
        yield argument


def _run_at(place: Place, arguments: Sequence[str]) -> tuple[int, Path | None]:
    if place.seed is not None:
        code, _ = run_cell(place.seed, place.environment)
        if code:
            return code, None
    return run_cell([*arguments, *place.options], place.environment)


def _conclude(plan: ResolvedPlan, folders: Sequence[tuple[str, Path]], out: Path) -> None:
    with ExitStack() as stack:
        runs = [(variant, stack.enter_context(Run.open(folder))) for variant, folder in folders]
        material = [
            Material(variant, run.manifest.run_id, summarise_run(run), run.scan.blocks) for variant, run in runs
        ]
        rows, cells = [variant_run(each) for each in material], variant_cells(material)
    console.out(variants_text(rows, cells))
    for path in _store(plan, rows, cells, out):
        console.out(str(path))


def _store(plan: ResolvedPlan, rows: Sequence[VariantRun], cells: Sequence[VariantCell], out: Path) -> Iterator[Path]:
    folder = out / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{plan.scenario.name}-variants"
    folder.mkdir(parents=True)
    markdown, data = folder / "variants.md", folder / "variants.json"
    write_atomically(markdown, variants_markdown(plan.scenario.question, rows, cells))
    document = {"runs": [asdict(row) for row in rows], "cells": [asdict(cell) for cell in cells]}
    write_atomically(data, json.dumps(document, indent=2, allow_nan=False) + "\n")
    yield from (markdown, data)
