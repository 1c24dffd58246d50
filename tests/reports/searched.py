"""A search for capacity that never ran: its probes, and the answer that they give."""

from dataclasses import replace

from bench.stats.capacity import Capacity, Made, Probe, Question, RegionResult, answer
from bench.stats.knee import Trial
from bench.stats.limits import Signs
from bench.stats.littles_law import LittleRow
from bench.stats.probing import Objective

REGIONS = {"us-east": 0.75, "eu-west": 0.25}
MADE = Made(
    "20261101-checkout-ab12-capacity", "checkout", "How fast?", "2026-11-01T00:00:00+00:00", "bench capacity checkout",
    "0.1.0", "embedded postgres 18.6, pg", tuple(REGIONS), {"eu-west": 86.0}, 2, 5.0, 30, 300.0, is_fresh=True,
)  # fmt: skip


def probe(number: int, rate: float, share: float, verdict: str, **more: object) -> Probe:
    """One probe with the same share over the limit in every region."""
    over = round(4000 * share)
    rows = tuple(
        RegionResult(
            region, "held" if verdict == "generator" else verdict, "because", share, 5.0, 90.0 + rate, rate * 7,
            Trial(rate, 4000, over, 2.0),
        )
        for region in (None, *REGIONS)
    )  # fmt: skip
    signs = Signs(
        server_cpu=rate / 100, machine_cpu=rate / 90, cores=2, users=20, service_ms=50.0, waits={"Running": 60.0}
    )
    made = Probe(
        number, "search", f"run-{number}", rate, verdict, 30, rate, rate, rate * 0.05, round(rate * 15), round(rate * 30),
        "VALID", LittleRow(2.0, 2.04, 0.1), signs, rows, ended_early=False,
    )  # fmt: skip
    return replace(made, **more)


LADDER = [
    *(probe(number, rate, share, verdict) for number, (rate, share, verdict) in enumerate(
        [(20, 0.0, "held"), (40, 0.0, "held"), (80, 0.001, "held"), (100, 0.05, "broke"), (85, 0.004, "held"),
         (92, 0.02, "broke"), (87, 0.007, "unclear")], 1)),
    probe(8, 84, 0.002, "held", purpose="replay"),
    probe(9, 101, 0.2, "broke", purpose="replay"),
]  # fmt: skip


def far_breaks_first() -> list[Probe]:
    """The same probes, but eu-west breaks the objective from 60 sessions a second on."""

    def with_region(each: Probe, share: float) -> Probe:
        whole, near, far = each.regions
        return replace(
            each, regions=(whole, near, replace(far, trial=Trial(each.rate, 1000, round(1000 * share), 2.0)))
        )

    return [with_region(each, 0.0 if each.rate < 40 else each.rate / 101) for each in LADDER]


def answered(probes: list[Probe], orders: float | None = None, region: str | None = None) -> Capacity:
    """Return the answer for the whole, or for one region."""
    question = Question(Objective(100.0, region=region), REGIONS, orders)
    return answer(question, probes, is_finished=True, grid_probes=33)
