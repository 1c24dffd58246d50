"""The small scale, as `bench seed --scale small` loads it."""

from dataclasses import replace

import pytest

from bench.data.spec import row_counts

from .conftest import TINY, Loaded, fill
from .test_load import CHECKS

SMALL = replace(TINY, scale="small")


@pytest.mark.slow
def test_small_has_200_000_sound_rows(fresh_database: str):
    loaded: Loaded = fill(fresh_database, SMALL)
    assert loaded.report.total_rows >= 200_000
    for table, count in row_counts(SMALL).items():
        assert loaded.report.rows[table] == pytest.approx(count, rel=0.15), table
    for check, (query, _) in CHECKS.items():
        assert loaded.rows(query) == [], check
    low = "SELECT avg((quantity_available <= reorder_point)::int)::float FROM inventory"
    assert loaded.value(low) == pytest.approx(0.05, abs=0.01)
