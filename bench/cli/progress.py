"""One line of progress an interval: what is offered, what comes back, how slow, what was sold."""

from dataclasses import dataclass, field
from types import ModuleType

from bench.metrics.frame import Frame
from bench.metrics.histogram import Histogram
from bench.scenario.model import Scenario
from bench.units import format_duration, format_ms

PIPE_EVERY_S = 10


@dataclass(slots=True)
class ProgressLine:
    """Shows every frame on a terminal, and one line every ten seconds in a pipe."""

    scenario: Scenario
    console: ModuleType
    _frames: list[Frame] = field(default_factory=list)
    _orders: int = 0

    def show(self, frame: Frame) -> None:
        """Take note of a frame, and print when it is time to."""
        self._orders += sum(entry.status != "cancelled" for entry in frame.journal)
        self._frames.append(frame)
        if self.console.is_terminal():
            self.console.status(self._line())
            self._frames = []
        elif len(self._frames) >= PIPE_EVERY_S:
            self.console.note(self._line())
            self._frames = []

    def _line(self) -> str:
        last = self._frames[-1]
        seconds = len(self._frames)
        arrivals = [cell for frame in self._frames for cell in frame.arrivals]
        ended = [c for frame in self._frames for c in frame.transactions if not c.name.startswith("session:")]
        response = Histogram.merge(cell.response for cell in ended)
        retries = sum(cell.count for frame in self._frames for cell in frame.retries)
        queued = last.generator.queued if last.generator else 0
        return (
            f"{format_duration(round(last.elapsed_s)):>8} {self._phase(last.elapsed_s):<9}"
            f" sessions {sum(c.offered for c in arrivals) / seconds:6.1f}/s"
            f"  tx {sum(c.count for c in ended) / seconds:6.1f}/s"
            f"  p50 {format_ms(response.percentile_ms(50)):>8}  p99 {format_ms(response.percentile_ms(99)):>8}"
            f"  retries {retries}  waiting {queued}  orders {self._orders}"
        )

    def _phase(self, elapsed_s: float) -> str:
        end = 0.0
        for phase in self.scenario.phases:
            end += phase.duration
            if elapsed_s <= end + 0.05:
                return phase.name
        return "drain"
