"""What is built is what is needed: the wheel, installed elsewhere, runs from outside the checkout."""

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from tests_support import HANG_S

ROOT = Path(__file__).parents[2]
RUN = ("run", "flash-sale", "--scale", "tiny", "--duration", "3s", "--users", "20", "--no-distance")


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("not a git checkout: the files that belong to the project are not known")
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy, so that nothing is left in the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    for name in tracked():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    arguments = ["-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(source)]
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, timeout=HANG_S)
    return next(folder.glob("shopbench-*.whl"))


def test_the_wheel_holds_the_package_and_nothing_generic(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"bench", f"{wheel.name.split('-py3')[0]}.dist-info"}


def test_the_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = set()
    for name in tracked():
        top = name.split("/")[0]
        if top not in ("bench", "workloads", "scenarios", "reports", "schema"):
            continue
        wanted.add(name if top == "bench" else f"bench/{name}")
    assert wanted - inside == set()


@pytest.mark.slow
def test_it_runs_inside_and_outside_of_the_checkout(wheel: Path, tmp_path: Path, home: Path) -> None:
    """Inside, the folder ./bench must not hide the installed package, nor from the process that seeds."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", str(wheel)], check=True, capture_output=True, timeout=HANG_S)
    for name, folder, seed in (("bench", wheel.parent / "source", "11"), ("shopbench", tmp_path, "12")):
        done = subprocess.run(
            [tmp_path / "venv" / "bin" / name, *RUN, "--data-seed", seed],
            cwd=folder,
            capture_output=True,
            text=True,
            env={**os.environ, "BENCH_HOME": str(home)},
            timeout=HANG_S,
            check=False,
        )
        assert done.returncode in (0, 4), done.stderr
        assert "seeded    tiny" in done.stderr


def test_completion_scripts() -> None:
    bench = Path(sys.executable).with_name("bench")
    for shell in ("bash", "zsh", "fish"):
        done = subprocess.run([bench, "completion", shell], capture_output=True, text=True, check=True, timeout=HANG_S)
        assert "_BENCH_COMPLETE" in done.stdout
