"""Who gets which session, when: sources played in a process of their own, because they need gevent's patched library."""

import json
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
from tests_support import HANG_S, command

SETUP = """
import json, time
import bench.load
import gevent
from bench.load.clock import WallClock, alarm
from bench.load.sources import ClosedSource, OpenSource, player_of, think_s
from bench.metrics.recorder import Recorder
from bench.scenario.parse import build_scenario
from bench.scenario.schedule import make_schedule, turns_of

def scenario(rate, seconds=1.0, **more):
    phases = [{"name": "p", "duration": seconds, "rate": rate}]
    return build_scenario({"name": "s", "question": "?", "workload": {"user": "m:C"}, "phases": phases, **more}, "s")

def frame(recorder):
    return recorder.take(1, 1.0, 1.0).fold(None, {})

def play(source, region, busy_s, kept):
    while True:
        arrival = source.next(region)
        if arrival is None:
            return
        kept.append((region, arrival.number, arrival.session, arrival.seed, arrival.due_ns, time.perf_counter_ns()))
        gevent.sleep(busy_s)
        source.done(region)

def started(source, users, busy_s=0.0):
    kept = []
    made = [gevent.spawn(play, source, region, busy_s, kept) for region, count in users.items() for _ in range(count)]
    gevent.sleep(0)
    return kept, made
"""


def played(script: str) -> Any:
    """Run a script after the set-up; what it prints is JSON."""
    done = subprocess.run(
        [Path(command()).with_name("python"), "-W", "ignore", "-c", SETUP + textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_arrival_is_played_once_with_its_own_seed() -> None:
    found = played(
        """
        asked = scenario({"a": 300, "b": {"us-west": 100}})
        schedule, recorder = make_schedule(asked, 5), Recorder(("p",))
        source = OpenSource(asked, schedule, recorder)
        users = {region.name: 3 for region in asked.regions}
        kept, made = started(source, users)
        origin = time.perf_counter_ns() + 50_000_000
        source.dispatch(origin, alarm())
        while source.busy or source.queued:
            gevent.sleep(0.01)
        dropped = source.close(users)
        gevent.joinall(made)
        names = [region.name for region in asked.regions]
        rows = {number: (region, session, seed, due - origin) for region, number, session, seed, due, _ in kept}
        planned = {
            int(n): (names[r], asked.session_names[s], int(seed), int(due))
            for n, r, s, seed, due in zip(
                schedule.number, schedule.region, schedule.session, schedule.seed, schedule.due_ns
            )
        }
        cells = frame(recorder).arrivals
        early = sum(at < due for *_, due, at in kept)
        print(json.dumps([len(kept), len(schedule), rows == planned, dropped, early,
                          sum(c.offered for c in cells), sum(c.started for c in cells)]))
        """
    )
    played_count, planned, same, dropped, early, offered, began = found
    assert same
    assert (played_count, offered, began, dropped, early) == (planned, planned, planned, 0, 0)


def test_what_nobody_was_free_for_is_dropped_with_its_wait() -> None:
    found = played(
        """
        asked = scenario({"a": {"us-east": 200}}, 0.5)
        schedule, recorder = make_schedule(asked, 5), Recorder(("p",))
        source = OpenSource(asked, schedule, recorder)
        kept, made = started(source, {"us-east": 1}, busy_s=30)
        origin = time.perf_counter_ns()
        source.dispatch(origin, alarm())
        queued = source.queued
        first_due = origin + int(schedule.due_ns[1])
        before = time.perf_counter_ns()
        dropped = source.close({"us-east": 1})
        after = time.perf_counter_ns()
        left = source.busy, source.queued
        made_frame = frame(recorder)
        cells = [cell for cell in made_frame.transactions if cell.outcome == "dropped"]
        print(json.dumps([len(schedule), len(kept), queued, dropped, sum(c.count for c in cells),
                          max(c.response.max_ns for c in cells), before - first_due, after - first_due, left]))
        """
    )
    planned, began, queued, dropped, recorded, longest_ns, least_ns, most_ns, left = found
    assert began == 1
    assert queued == dropped == recorded == planned - 1
    # Histograms keep times to a thousandth or so.
    assert 0.99 * least_ns <= longest_ns <= 1.01 * most_ns
    # The one user is told to go by something in the queue, which is no arrival.
    assert left == [1, 0]


def test_buyers_who_were_never_let_in_count_as_contenders_who_got_nothing() -> None:
    """What they came for is what their session would have drawn; deliveries and browsers compete with nobody."""
    found = played(
        """
        from random import Random
        from types import SimpleNamespace
        from typing import NamedTuple
        from bench.load.wishes import Wishes
        from bench.workloads.flash_sale import FlashSaleUser

        class Buyer(FlashSaleUser):
            abstract = True
            def __init__(self, state): self.state, self.region, self.keys = state, "us-east", []
            def view(self, item, rng): rng.random()
            def _buy(self, wanted, rng): return None
            def contend(self, key, done): self.keys.append(key)

        class Hot(NamedTuple):
            sku: str

        state = SimpleNamespace(hot=[Hot(f"HOT-{n}") for n in range(5)])
        asked = scenario({"browse": {"us-east": 30}, "buy": {"us-east": 100}, "restock": {"us-east": 30}}, 0.5)
        schedule, recorder = make_schedule(asked, 5), Recorder(("p",))
        source = OpenSource(asked, schedule, recorder, Wishes(FlashSaleUser, state, recorder).missed)
        kept, made = started(source, {"us-east": 1}, busy_s=30)
        source.dispatch(time.perf_counter_ns(), alarm())
        source.close({"us-east": 1})
        began = {number for _, number, *_ in kept}
        buyer, wanted = Buyer(state), []
        for number, session, seed, due in zip(schedule.number, schedule.session, schedule.seed, schedule.due_ns):
            if asked.session_names[session] == "buy" and int(number) not in began:
                buyer.buy_hot(Random(int(seed)))
                wanted.append(["us-east", buyer.keys[-1], int(due) / 1e9, "dropped", 0])
        missed = [[c.region, c.key, c.arrived_s, c.outcome, c.attempts] for c in frame(recorder).contenders]
        print(json.dumps([sorted(missed), sorted(wanted)]))
        """
    )
    missed, wanted = found
    assert missed == wanted
    assert len(wanted) > 20
    assert len({key for _, key, *_ in wanted}) == 5


def test_two_parts_play_the_whole_and_the_rest_of_a_lost_one_is_adopted() -> None:
    """The second of two workers is lost halfway: the first takes over what it had not begun."""
    found = played(
        """
        asked = scenario({"a": 400}, 1.0)
        whole = make_schedule(asked, 5)
        mine, lost = (whole.part(turns) for turns in turns_of([None, None], [r.name for r in asked.regions]))
        recorder = Recorder(("p",))
        source = OpenSource(asked, mine, recorder)
        users = {region.name: 5 for region in asked.regions}
        kept, made = started(source, users)
        rest = lost.since(500_000_000)
        # Told at 0.65 s of what was due from 0.5 s on.
        origin = time.perf_counter_ns()
        gevent.spawn_later(0.65, source.adopt, rest)
        source.dispatch(origin, alarm())
        while source.busy or source.queued:
            gevent.sleep(0.01)
        source.close(users)
        gevent.joinall(made)
        numbers = sorted(number for _, number, *_ in kept)
        wanted = sorted([*mine.number.tolist(), *rest.number.tolist()])
        late = [at - due for _, n, _, _, due, at in kept if n in set(rest.number.tolist()) and due - origin < 550_000_000]
        print(json.dumps([numbers == wanted, len(rest), len(late), min(late) / 1e9]))
        """
    )
    same, adopted, late, least_late_s = found
    assert same
    assert adopted > 50
    assert late > 5
    # What fell due before it was adopted is late by the time until then, and that is recorded.
    assert least_late_s > 0.04


def test_arrivals_adopted_before_the_start_are_played_too() -> None:
    assert played(
        """
        asked = scenario({"a": {"us-east": 100}}, 0.3)
        whole = make_schedule(asked, 5)
        source = OpenSource(asked, whole.part({0: (0, 2)}), Recorder(("p",)))
        source.adopt(whole.part({0: (1, 2)}))
        kept, made = started(source, {"us-east": 3})
        source.dispatch(time.perf_counter_ns(), alarm())
        gevent.sleep(0.05)
        print(json.dumps(sorted(number for _, number, *_ in kept) == whole.number.tolist()))
        """
    )


def test_a_closed_user_does_the_same_in_any_process() -> None:
    """Three users in one process, or one in one and two in another: the same seeds for each."""
    found = played(
        """
        def seeds(players):
            asked = scenario({"a": 3, "b": 1}, 600, model="closed", users=3, think_time="10ms", think="constant",
                             regions=[{"name": "us-east"}])
            source = ClosedSource(asked, 7, Recorder(("p",)), players)
            kept, lists = [], []
            def user():
                mine = []
                lists.append(mine)
                play(source, "us-east", 0, mine)
            made = [gevent.spawn(user) for _ in range(len(players["us-east"]) if players else 3)]
            gevent.sleep(0)
            going_on = gevent.spawn(source.dispatch, time.perf_counter_ns(), alarm())
            while any(len(mine) < 10 for mine in lists):
                gevent.sleep(0.01)
            source.close({"us-east": 3})
            going_on.kill()
            gevent.joinall(made)
            return [[(session, seed) for _, _, session, seed, _, _ in mine][:10] for mine in lists]
        print(json.dumps([seeds(None), seeds({"us-east": range(0, 3, 2)}), seeds({"us-east": range(1, 3, 2)})]))
        """
    )
    together, even, odd = found
    assert all(len(mine) == 10 for mine in together)
    assert [even[0], odd[0], even[1]] == together
    assert len({seed for mine in together for _, seed in mine}) == 30


@pytest.mark.parametrize("how", ["exponential", "lognormal", "constant"])
def test_think_times_have_the_mean_asked_for(how: str) -> None:
    mean, spread, smallest = played(
        f"""
        from random import Random
        from statistics import mean, pstdev
        times = [think_s("{how}", 2.0, rng) for rng in [Random(3)] for _ in range(40_000)]
        print(json.dumps([mean(times), pstdev(times), min(times)]))
        """
    )
    assert mean == pytest.approx(2.0, rel=0.03)
    assert spread == pytest.approx(0.0 if how == "constant" else 2.0, rel=0.1, abs=1e-9)
    assert smallest == {"constant": 2.0}.get(how, pytest.approx(0.0, abs=0.1))


def test_a_step_of_the_wall_clock_moves_dates_and_nothing_else() -> None:
    """Setting the machine's clock is not for a test to do, so the process's view of it is set back by an hour."""
    found = played(
        """
        asked = scenario({"a": {"us-east": 200}}, 0.6)
        schedule, recorder = make_schedule(asked, 5), Recorder(("p",))
        source = OpenSource(asked, schedule, recorder)
        kept, made = started(source, {"us-east": 5})
        real, back = time.time, [0.0]
        time.time = lambda: real() + back[0]
        watch = WallClock(wall=lambda: time.time())
        gevent.spawn_later(0.3, back.__setitem__, 0, -3600.0)
        before, began = watch.read(), time.perf_counter()
        source.dispatch(time.perf_counter_ns(), alarm())
        gevent.sleep(0.05)
        after, passed_s, again = watch.read(), time.perf_counter() - began, watch.read()
        late = [(at - due) / 1e9 for *_, due, at in kept]
        dated_s = after[0] - before[0] - passed_s
        print(json.dumps([before[1], after[1], again[1], dated_s, len(kept) == len(schedule), max(late)]))
        """
    )
    before, stepped, again, dated_s, all_played, latest_s = found
    assert (before, again) == (0.0, 0.0)
    assert stepped == pytest.approx(-3600, abs=0.1)
    assert dated_s == pytest.approx(-3600, abs=0.1)
    assert all_played
    assert latest_s < 60
