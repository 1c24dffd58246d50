"""The example pipeline is YAML, its commands are those of bench, and its steps do what its README says."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
import yaml
from tests_support import command

from bench.cli import group
from bench.errors import ExitCode

CI = Path(__file__).parents[2] / "examples" / "ci"
WORKFLOW = yaml.safe_load((CI / "bench.yml").read_text())
STEPS = WORKFLOW["jobs"]["gate"]["steps"]
SCRIPTS = {step["name"]: step["run"] for step in STEPS if "run" in step}
CALL = re.compile(r"\.(?:before|after)/bin/bench ([^|;\n]+)")


def test_its_commands_and_options_are_real():
    calls = [words for script in SCRIPTS.values() for words in CALL.findall(script)]
    assert len(calls) == 5
    for words in calls:
        name, *arguments = shlex.split(words)
        found, context = group.get_command(click.Context(group), name), click.Context(group)
        assert found is not None, words
        if isinstance(found, click.Group):
            name, *arguments = arguments
            found = found.get_command(context, name)
        found.make_context(name, arguments, parent=context)


def test_its_steps_are_whole():
    assert all(("run" in step) != ("uses" in step) for step in STEPS)
    assert [step["uses"].partition("@")[0] for step in STEPS if "uses" in step][-1] == "actions/upload-artifact"
    assert WORKFLOW[True] == {"pull_request": None}  # YAML takes the key `on` for a truth value
    codes = {int(code) for code in re.findall(r"-(?:eq|ne|le) (\d)", "".join(SCRIPTS.values()))}
    assert codes == {ExitCode.OBJECTIVE_FAILED, ExitCode.NOT_VALID, ExitCode.DATA_WRONG, ExitCode.INCONCLUSIVE}


def ended(folder: Path, step: str, codes: str) -> tuple[int, str]:
    """Run a step whose runs end with these codes, one after the other; return its code, and what was asked of bench."""
    for side in ("before", "after"):
        program = folder / f".{side}" / "bin" / "bench"
        program.parent.mkdir(parents=True)
        program.write_text(
            "#!/bin/bash\n"
            'echo "$@" >>asked\n'
            '[ "$1" = run ] || exit 0\n'
            f"codes=({codes})\n"
            'mkdir -p "$4/a-run"\n'
            'exit "${codes[$(grep -c ^run asked) - 1]}"\n'
        )
        program.chmod(0o755)
    done = subprocess.run(["bash", "-e", "-c", SCRIPTS[step]], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, (folder / "asked").read_text().splitlines()[-1]


SHORT = "--duration 8s --scale tiny --as-of 2026-11-01"
SAVE = "baseline save before-1/a-run before-2/a-run before-4/a-run --out baseline.json"


@pytest.mark.parametrize(
    ("step", "codes", "code", "last"),
    [
        ("Seed, and warm the caches up", "1", 0, "run gate --out warm-up"),
        ("Seed, and warm the caches up", "4", 0, "run gate --out warm-up"),
        ("Seed, and warm the caches up", "3", 1, "run gate --out warm-up"),
        ("Measure what we had", "0 1 4 0 4", 0, SAVE),
        ("Measure what we had", "4 4 4 4 4", 4, "run gate --out before-5"),
        ("Measure what we had", "0 6", 6, "run gate --out before-2"),
        ("Measure the change", "1", 0, "run gate --out after-runs"),
        ("Measure the change", "6", 0, "run gate --out after-runs"),
        ("Measure the change", "3", 1, "run gate --out after-runs"),
    ],
)
def test_its_steps_go_on_where_there_is_something_to_judge(
    tmp_path: Path, step: str, codes: str, code: int, last: str
) -> None:
    assert ended(tmp_path, step, codes) == (code, last)


@pytest.mark.slow
@pytest.mark.flaky(reruns=2)  # times are what is judged
def test_its_steps_judge_two_equal_sides(home: Path, tmp_path: Path):
    """With short runs of little data, by bash as a runner calls it; a noisy machine may make them INVALID."""
    for side in ("before", "after"):
        (tmp_path / f".{side}" / "bin").mkdir(parents=True)
        (tmp_path / f".{side}" / "bin" / "bench").symlink_to(command())
    summary = tmp_path / "summary.md"
    environment = {**os.environ, "BENCH_HOME": str(home), "GITHUB_STEP_SUMMARY": str(summary)}
    said = {}
    for name in ("Measure what we had", "Measure the change", "Judge"):
        script = SCRIPTS[name].replace("run gate", f"run gate {SHORT}").replace("1 2 3 4 5", "1 2")
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        said[name] = done
        if name == "Measure what we had" and done.returncode == ExitCode.NOT_VALID:
            assert "no run was fit for a baseline" in done.stdout
            pytest.skip("the machine is too busy for a baseline")
    assert re.match(r"gate: (PASS|INCONCLUSIVE|INVALID) ", said["Judge"].stdout), said["Judge"].stderr
    assert said["Judge"].returncode in (0, 4)
    assert summary.read_text().startswith("## Gate: ")
    assert (tmp_path / "gate.xml").read_text().startswith("<?xml")


@pytest.mark.slow
def test_a_missed_objective_is_an_exit_code(home: Path, tmp_path: Path):
    text = (CI.parents[1] / "scenarios" / "gate.toml").read_text()
    (tmp_path / "strict.toml").write_text(
        text.replace("scale = ", 'objectives = ["all response p50 < 0.001ms"]\nscale = ')
    )
    done = subprocess.run(
        [command(), "run", "strict.toml", "--duration", "8s", "--scale", "tiny"],
        cwd=tmp_path,
        env={**os.environ, "BENCH_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (ExitCode.OBJECTIVE_FAILED, ExitCode.NOT_VALID), done.stderr
    assert "OBJECTIVE MISSED" in done.stdout
    assert "objectives: 1 of 1 missed (all response p50 < 0.001ms: " in done.stdout
