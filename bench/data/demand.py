"""When things happen: the year's curve of orders in each region, and its inverse.

May import nothing of the package but ``counter`` and ``regions``.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

import numpy as np

from bench.data.counter import Floats, Ints, Streams
from bench.data.regions import profile

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

GROWTH = 0.6
"""Orders of the last day over those of the first, less one."""
NOISE = 0.08
# Orders by hour of the local day: a trough at night, a rise to noon, the peak in the evening.
HOURS = (34, 22, 15, 11, 9, 11, 18, 32, 50, 66, 78, 86, 92, 88, 84, 82, 83, 88, 97, 110, 120, 114, 88, 56)
# By local weekday from Monday: the weekend is strong, Sunday strongest.
WEEKDAYS = (1.02, 0.97, 0.94, 0.93, 0.96, 1.06, 1.12)


def midnight_us(day: date) -> int:
    """Return midnight UTC of a day in microseconds since 1970."""
    return int(datetime.combine(day, time(), UTC).timestamp()) * 1_000_000


def year_before(day: date) -> date:
    """Return the same day of the year before; 28 February for 29 February."""
    return day.replace(year=day.year - 1, day=28) if (day.month, day.day) == (2, 29) else day.replace(year=day.year - 1)


@dataclass(frozen=True, slots=True)
class Demand:
    """The cumulative curve of one region: ``share[i]`` of the year's orders come before ``hours_us[i]``."""

    hours_us: Floats
    share: Floats

    @classmethod
    def of(cls, region: str, as_of: date, streams: Streams) -> "Demand":
        """Return the curve of a region for the year before a day."""
        start, end = midnight_us(year_before(as_of)), midnight_us(as_of)
        hours_us = np.arange(start, end + 1, HOUR_US)
        weights = _weights(region, hours_us[:-1], streams)
        share = np.concatenate(([0.0], np.cumsum(weights)))
        return cls(hours_us.astype(np.float64), share / share[-1])

    def time(self, share: Floats) -> Ints:
        """Return the instants (µs since 1970) before which the given shares in [0, 1) of the year's orders come."""
        return np.interp(share, self.share, self.hours_us).astype(np.int64)

    def before(self, times_us: Ints) -> Floats:
        """Return the share of the year's orders before each instant."""
        return np.interp(times_us, self.hours_us, self.share)


def _weights(region: str, hours_us: Ints, streams: Streams) -> Floats:
    local = hours_us + profile(region).utc_offset_h * HOUR_US
    day = local // DAY_US
    growth = 1 + GROWTH * np.arange(len(hours_us)) / len(hours_us)
    # 1970-01-01 was a Thursday.
    weekly = np.array(WEEKDAYS)[(day + 3) % 7]
    daily = np.array(HOURS)[local // HOUR_US % 24]
    return np.asarray(growth * weekly * daily * np.exp(NOISE * streams("demand", region).normal(day)))
