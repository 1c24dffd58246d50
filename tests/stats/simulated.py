"""Measures of runs that differ as real ones do: samples, what each run brings of its own, and the speed of the machine."""

import numpy as np

from bench.stats.comparison_measures import Key, Measure

STATEMENTS = 35
CALLS = 300


class Machine:
    """Runs of one thing.  Statements differ in how steady they are, and in how much of the machine's speed they feel."""

    def __init__(self, seed, own=0.02, speed=0.05, statements=STATEMENTS):
        self.rng = np.random.default_rng(seed)
        self.names = [f"shop/s{number}" for number in range(statements)]
        self.times = self.rng.lognormal(0.0, 0.7, statements)
        self.own = own * self.rng.lognormal(0.0, 0.4, statements)
        self.error = 0.02 * self.rng.lognormal(0.0, 0.3, statements)
        self.felt = self.rng.normal(1.0, 0.2, statements)
        self.blocks = self.rng.integers(3, 400, statements).astype(float)
        self.speed = speed

    def run(self, slower=None, factor=1.0, everything=1.0, blocks=1.0, status=None):
        rng = self.rng
        shift = rng.normal(0, self.speed)
        # Now and then a statement has a bad run, as where a checkpoint fell on it.
        bad = (rng.random(len(self.names)) < 0.01) * np.abs(rng.normal(0, 2 * self.own))
        moved = shift * self.felt + rng.normal(0, self.own) + rng.normal(0, self.error) + bad
        times = self.times * np.exp(moved) * everything
        found = {}
        for place, name in enumerate(self.names):
            planted = factor if place == slower else 1.0
            time = float(times[place] * planted)
            for metric, noise in (("quick_ms", 0.0), ("p50_ms", 0.01), ("mean_ms", 0.03), ("p95_ms", 0.05)):
                value = time * float(np.exp(rng.normal(0, noise)))
                found[Key("statement", name, None, metric)] = Measure(value, float(self.error[place]), CALLS)
            found[Key("statement", name, None, "calls")] = Measure(1.0, 0.003, CALLS)
            read = self.blocks[place] * (blocks if place == slower else 1.0) * float(np.exp(rng.normal(0, 0.002)))
            found[Key("server", name, None, "blocks")] = Measure(read, 0.0, CALLS)
        for number in range(8):
            name = f"t{number}"
            found[Key("transaction", name, None, "goodput_per_s")] = Measure(
                20.0 * float(np.exp(rng.normal(0, 0.003))), 0.003, CALLS
            )
            found[Key("transaction", name, None, "answered_share")] = Measure(1.0, 0.003, CALLS)
            found[Key("transaction", name, None, "attempts_per_commit")] = Measure(1.0, 0.003, CALLS)
            time = 3.0 * float(np.exp(shift + rng.normal(0, 0.03))) * everything
            found[Key("transaction", name, None, "service_p50_ms")] = Measure(time, 0.03, CALLS)
        return found
