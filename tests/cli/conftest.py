"""The command line in this process, for what is refused before anything begins: much quicker than a process of its own."""

import sys
from collections.abc import Callable

import pytest

from bench.cli import group
from bench.cli.frame import run_guarded

Told = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Told:
    """Run a command line and return its exit code and the lines that it printed to standard error."""

    def run(*arguments: str) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["bench", *arguments])
        with pytest.raises(SystemExit) as ended:
            run_guarded(group)
        printed = capsys.readouterr()
        assert printed.out == ""
        return int(ended.value.code or 0), printed.err.splitlines()

    return run
