"""`bench cluster smoke`: the facts that bench relies on, checked on a live server, as a table or as JSON."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from textwrap import wrap

from bench.cli import console
from bench.db import facts
from bench.db.catalogue import DIALECTS, Catalogue, read_package
from bench.db.ddl import Dialect
from bench.db.lab import Lab, opened_lab
from bench.db.smoke import Checked, applicable, check_facts
from bench.errors import ExitCode

SCHEMA_VERSION = 1
_WIDTHS = {"state": 7, "fact": 48, "expected": 22, "found": 40}
_GAP = "  "


def smoke(gateways: Mapping[str, tuple[str, ...]], as_json: bool) -> int:
    """Check every fact that the server of the gateways should agree with, print them, and return the exit code.

    ``gateways`` are URLs by region, under an empty name where the region is not known.  1 when a fact does not hold;
    TargetError when there is no server, or no database to be made on it.
    """
    with opened_lab(gateways, statements_of()) as lab:
        console.note(
            f"asking    {lab.dialect.title} {lab.version}, variant {lab.schema.variant}, in a database of its own"
        )
        checked = list(_watched(lab))
    wrong = sum(each.state != "ok" for each in checked)
    if as_json:
        server = {"server": lab.dialect.title, "version": lab.version, "variant": lab.schema.variant}
        rows = [asdict(each) for each in checked]
        console.plain(
            json.dumps({"schema_version": SCHEMA_VERSION, **server, "facts": rows}, indent=2, ensure_ascii=False)
        )
    else:
        console.plain("\n".join((*text_lines(checked), "", summary(len(checked), wrong))))
    return ExitCode.OBJECTIVE_FAILED if wrong else ExitCode.OK


def _watched(lab: Lab) -> Iterator[Checked]:
    count = len(list(applicable(facts.FACTS, lab)))
    try:
        for number, each in enumerate(check_facts(lab, facts.FACTS), 1):
            console.status(f"{number} of {count}  {each.state}  {each.fact}")
            yield each
    finally:
        console.end_status()


def statements_of() -> dict[Dialect, Catalogue]:
    """Return the statements that the load and the audit send, for each database."""
    folders = [read_package(package, "sql") for package in ("bench.workloads", "bench.audit")]
    return {dialect: Catalogue.load(folders, dialect) for dialect in DIALECTS}


def summary(count: int, wrong: int) -> str:
    """Return the last line."""
    if not wrong:
        return f"all {count} facts hold"
    return f"{wrong} of {count} facts {'does' if wrong == 1 else 'do'} not hold: runs on this server may mean something else"


def text_lines(checked: Iterable[Checked]) -> Iterator[str]:
    """Yield a table of fact, expected and found; below each that does not hold, what needs it and where it is from."""
    yield _aligned({"state": "", "fact": "fact", "expected": "expected", "found": "found"})
    for each in checked:
        cells = {name: wrap(str(getattr(each, name)), width) or [""] for name, width in _WIDTHS.items()}
        for number in range(max(map(len, cells.values()))):
            yield _aligned({name: lines[number] if number < len(lines) else "" for name, lines in cells.items()})
        if each.state != "ok":
            yield from wrap(
                f"needed by {each.needed_by}; source {each.source}",
                120,
                initial_indent=" " * 9,
                subsequent_indent=" " * 9,
            )


def _aligned(cells: Mapping[str, str]) -> str:
    return _GAP.join(cells[name].ljust(width) for name, width in _WIDTHS.items()).rstrip()
