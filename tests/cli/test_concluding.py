"""The end of a run whose server could not be used to the end: why, what to do, and where the figures are."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bench.cli.concluding import Conclusion
from bench.errors import ExitCode, TargetError
from bench.load.plan import Ended
from bench.results.store import RunWriter
from bench.stats.validity import Evidence
from tests.results.synthetic import Maker, manifest

THROTTLED = TargetError("the server throttles (XXC02)", cause="No license installed.", hint="set a licence")


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (
            Ended("target_lost", str(THROTTLED), error=THROTTLED),
            ["error: the server throttles (XXC02)", "cause: No license installed.", "hint: set a licence", "{}"],
        ),
        (
            Ended("target_lost", "the server's process has ended"),
            ["error: the server was lost during the run", "cause: the server's process has ended", "hint: {}"],
        ),
    ],
    ids=["throttled", "gone"],
)
def test_a_lost_server(ended: Ended, said: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    writer, maker = RunWriter(tmp_path / "[run]"), Maker()
    writer.write_manifest(manifest())
    for second in range(2):
        writer.write_frame(maker.frame(second))
    unused: Any = None
    evidence = Evidence(manifest().phases)
    end = Conclusion(unused, unused, writer, evidence, unused, unused, datetime(2026, 3, 1, tzinfo=UTC), audit=None)
    assert end.of(ended) == ExitCode.TARGET
    kept = f"what was measured until then is in {writer.path / 'report.html'}"
    assert capsys.readouterr().err.splitlines() == [line.format(kept) for line in said]
    assert (writer.path / "report.html").exists()
