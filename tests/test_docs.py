"""The documentation names what there is: commands, options, exit codes, scenario keys, settings."""

import os
from collections.abc import Iterator
from pathlib import Path

import click

from bench.cli import group
from bench.errors import ExitCode
from bench.scenario.model import Phase, Region, Retry, Scenario, Workload

ROOT = Path(__file__).parents[1]
CLI = ROOT / "docs" / "cli.md"

CODES = {
    ExitCode.OK: "done; objectives and audit passed",
    ExitCode.OBJECTIVE_FAILED: "an objective or a gate failed, or `schema check` or `cluster smoke` found differences",
    ExitCode.USAGE: "an option, a scenario or a file is wrong",
    ExitCode.TARGET: "the target cannot be reached, is not prepared, or was lost during the run",
    ExitCode.NOT_VALID: "it ran, but the measurement is not valid",
    ExitCode.BUG: "a bug in bench",
    ExitCode.DATA_WRONG: "the audit found the data wrong",
    ExitCode.INCONCLUSIVE: "a gate could not tell",
    ExitCode.INTERRUPTED: "interrupted; what was measured is kept and marked",
}


def commands(parent: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in parent.list_commands(context):
        command = parent.get_command(context, name)
        assert command is not None
        # A command keeps its option for help from its first use, which may have been a test's without the group's settings.
        command._help_option = None
        inner = click.Context(command, info_name=name, parent=context, max_content_width=100, terminal_width=100)
        yield inner.command_path, command, inner
        if isinstance(command, click.Group):
            yield from commands(command, inner)


def reference() -> str:
    """The whole reference, from the commands themselves."""
    lines = ["# Command line", "", "Written by `UPDATE_DOCS=1 pytest tests/test_docs.py`; a test compares it.", ""]
    lines += ["## Exit codes", "", "| Code | Means |", "| --- | --- |"]
    lines += [f"| {int(code)} | {text} |" for code, text in CODES.items()]
    lines += ["", "When several hold, the first of 3, 6, 130, 4, 1 is returned.", ""]
    lines += ["Environment: `BENCH_HOME` (where the embedded server keeps its data), `BENCH_URL`, `BENCH_GATEWAY`"]
    lines += [
        "(`REGION=URL REGION=URL …`), `BENCH_TARGET`, `BENCH_PORT`, `BENCH_COMPOSE_FILE`, `BENCH_DEBUG`, `NO_COLOR`.",
        "",
    ]
    lines += ["Results go to standard output, everything else to standard error.", ""]
    root = click.Context(group, info_name="bench", terminal_width=100, **group.context_settings)
    for path, command, context in commands(group, root):
        lines += [f"## {path}", "", "```text", command.get_help(context), "```", ""]
    return "\n".join(lines)


def test_the_reference_of_the_command_line_is_current() -> None:
    if "UPDATE_DOCS" in os.environ:
        CLI.write_text(reference())
    assert CLI.read_text() == reference()


def test_every_exit_code_is_documented() -> None:
    assert set(CODES) == set(ExitCode)
    readme = (ROOT / "README.md").read_text()
    for code in ExitCode:
        assert f"| {int(code)} |" in readme


def test_every_option_and_command_has_help() -> None:
    root = click.Context(group, info_name="bench")
    for path, command, _ in commands(group, root):
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{path} {parameter.opts}"


def test_every_key_of_a_scenario_is_documented() -> None:
    text = (ROOT / "docs" / "scenarios.md").read_text()
    keys = {name for name in Scenario.model_fields if name not in ("workload", "phases", "regions", "retry")}
    for prefix, model in (("workload", Workload), ("phases[]", Phase), ("regions[]", Region), ("retry", Retry)):
        keys |= {f"{prefix}.{name}" for name in model.model_fields}
    assert [key for key in sorted(keys) if f"`{key}`" not in text] == []


def test_every_setting_of_the_flash_sale_is_documented() -> None:
    import tomllib

    text = (ROOT / "docs" / "scenarios.md").read_text()
    scenario = tomllib.loads((ROOT / "scenarios" / "flash-sale.toml").read_text())
    for key in scenario["workload"]["settings"]:
        assert f"`{key}`" in text
