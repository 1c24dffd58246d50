"""The examples in the docstrings of the store, the statistics and the reports are true."""

import doctest
from importlib import import_module

import pytest

MODULES = ("bench.results.manifest", "bench.results.scan", "bench.metrics.packed", "bench.stats.phases")
REPORTS = ("bench.stats.verdict", "bench.reports.numbers", "bench.reports.svg")


@pytest.mark.parametrize("name", [*MODULES, *REPORTS])
def test_examples(name):
    failed, attempted = doctest.testmod(import_module(name))
    assert attempted
    assert not failed
