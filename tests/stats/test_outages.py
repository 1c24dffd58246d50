"""Outages from what was recorded second by second: where one begins and ends, and what is put down to it."""

from bench.metrics.frame import Disconnect
from bench.stats.outages import Ended, Outage, outage_line, outages

REGIONS = ("east", "west")


def second(region: str, number: int, answered: int = 100, longest_ms: float = 10.0, **given_up: int) -> Ended:
    return Ended(region, number - 1.0, float(number), answered, given_up, longest_ms)


def lost(region: str, at_s: float, count: int = 1) -> Disconnect:
    return Disconnect(region, at_s, None, count, 0)


def refused(region: str, began_s: float, until_s: float, count: int = 5) -> Disconnect:
    return Disconnect(region, began_s, until_s, 2, count)


def test_without_a_lost_connection_there_is_none() -> None:
    assert outages((), [second("east", 1)], REGIONS) == ()


def test_one_ends_with_the_last_refusal_and_knows_what_it_cost() -> None:
    felt = [refused("east", 3.2, 3.9), refused("east", 4.1, 4.6, 10)]
    ended = [
        second("east", 3, longest_ms=9000),
        second("east", 4, connection_refused=2, query_canceled=7),
        second("east", 5, longest_ms=1500),
        second("east", 9, longest_ms=8000, commit_unknown=1),
        second("west", 5, longest_ms=7000, connection_lost=3),
    ]
    (found,) = outages(felt, ended, REGIONS)
    assert found == Outage(3.2, 4.6, ("east",), given_up=3, aborted=19, longest_wait_ms=1500, is_over=True)


def test_what_an_idle_user_notices_later_belongs_to_it_and_does_not_make_it_longer() -> None:
    felt = [refused("east", 3.2, 4.6), lost("east", 7.0), lost("east", 12.0)]
    (found,) = outages(felt, [second("east", 13)], REGIONS)
    assert (found.began_s, found.ended_s, found.aborted) == (3.2, 4.6, 9)
    late = lost("east", 15.0)
    first, then = outages([*felt, late], [second("east", 16)], REGIONS)
    assert (first.aborted, then.began_s, then.ended_s, then.aborted) == (9, 15.0, 15.0, 1)


def test_refusals_after_a_quiet_time_are_another_with_its_own_costs() -> None:
    felt = [refused("east", 3.0, 4.0), refused("east", 6.5, 7.0)]
    ended = [second("east", n, connection_refused=n) for n in (4, 5, 7, 8)]
    first, then = outages(felt, ended, REGIONS)
    assert (first.given_up, then.given_up) == (4 + 5, 7 + 8), "each second is of one of them"
    assert (first.ended_s, then.began_s) == (4.0, 6.5)


def test_regions_that_feel_it_at_one_time_feel_the_same_one() -> None:
    felt = [refused("west", 3.1, 5.0), refused("east", 3.4, 4.2)]
    ended = [second("east", 6, longest_ms=50, connection_lost=1), second("west", 6, longest_ms=70, connection_lost=2)]
    (found,) = outages(felt, ended, REGIONS)
    assert found == Outage(3.1, 5.0, REGIONS, given_up=3, aborted=14, longest_wait_ms=70, is_over=True)
    apart = outages([refused("west", 3.1, 3.5), refused("east", 5.6, 6.0)], ended, REGIONS)
    assert [each.regions for each in apart] == [("west",), ("east",)]


def test_connections_that_were_cut_and_not_refused_have_one_moment() -> None:
    (found,) = outages([lost("east", 3.1, 12), lost("west", 5.0, 2)], [second("east", 4), second("west", 6)], REGIONS)
    assert (found.began_s, found.ended_s, found.aborted, found.regions) == (3.1, 3.1, 14, REGIONS)
    assert outage_line(found, REGIONS).startswith("cut off at 3.1 s, all regions: no transaction given up, 14 attempts")


def test_one_without_an_answer_after_it_is_not_over() -> None:
    (found,) = outages([refused("east", 3.0, 9.0)], [second("east", 2), second("east", 9, answered=0)], REGIONS)
    assert not found.is_over
    assert outage_line(found, REGIONS).startswith("outage from 3.0 s on, east: ")


def test_one_region_that_never_comes_back_is_enough() -> None:
    felt = [refused("east", 3.0, 4.0), refused("west", 3.0, 9.0)]
    ended = [second("east", 6), second("west", 3)]
    (found,) = outages(felt, ended, REGIONS)
    assert not found.is_over


def test_a_line_fits_the_terminal() -> None:
    long = Outage(9912.02, 9914.11, REGIONS, 31, 85, 2600.0, True)
    for regions in (REGIONS, (*REGIONS, "south"), ("a", "b", "c", *REGIONS)):
        assert len(outage_line(long, regions)) <= 100
