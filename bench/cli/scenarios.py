"""``bench scenarios``."""

import click

from bench.cli import console
from bench.units import format_duration


@click.command("scenarios")
def command() -> None:
    """List the scenarios that come with bench."""
    from bench.cli.scenario_files import built_in, find_scenario

    for name in sorted(built_in()):
        scenario, _ = find_scenario(name)
        runs = scenario.matrix.runs if scenario.matrix else 1
        lasts = f"{f'{runs} × ' if runs > 1 else ''}{format_duration(scenario.duration_s)}"
        console.out(f"{name:<16} {lasts:>11}  {scenario.question}")
