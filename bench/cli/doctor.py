"""``bench doctor``."""

import json
from dataclasses import asdict

import click

from bench.cli import console
from bench.errors import ExitCode


@click.command("doctor")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What to print on standard output.",
)
def command(form: str) -> int:
    """Say what is here and what is missing for a run on this machine, each with a next step.

    It starts the embedded server once, where a run would. Exit code 3 where `bench run` without --url cannot work.
    """
    from bench.cli.doctor_checks import examine

    found = tuple(examine())
    if form == "json":
        console.plain(json.dumps({"checks": [asdict(check) for check in found]}, indent=2))
    else:
        width = max(len(check.name) for check in found)
        for check in found:
            console.plain(f"{check.state:<8} {check.name:<{width}}  {check.found}")
            if check.next_step:
                console.plain(f"{'':<8} {'':<{width}}  next: {check.next_step}")
    return ExitCode.TARGET if any(check.stops_a_run for check in found) else ExitCode.OK
