"""Slips of the hand, and what is said of them: what was wrong with which value, and what to do next."""

from pathlib import Path

import pytest

from bench.cli import _COMMANDS
from bench.cli.options import parse_regions
from bench.cli.seeding import chosen_tables
from bench.db.connection import open_or_explain
from bench.db.ddl import source
from bench.errors import UsageError
from bench.results.files import find_run
from tests.results.synthetic import write_run


def test_nothing_asked_for_gives_the_help_and_the_code_of_a_fault(told):
    code, lines = told()
    assert code == 2
    assert lines[0].startswith("Usage: bench ")
    assert any(line.split()[:1] == ["capacity"] for line in lines)
    assert not any(line.startswith(("error:", "hint:")) for line in lines)


def test_a_command_by_a_wrong_name(told):
    assert told("raport", "last") == (
        2,
        [
            "error: no such command 'raport'",
            f"hint: did you mean 'bench report'? `bench --help` lists all {len(_COMMANDS)}",
        ],
    )
    assert told("zzz")[1][1] == f"hint: `bench --help` lists all {len(_COMMANDS)}"


def test_an_option_where_a_url_should_be(told):
    assert told("seed", "--url", "--scale", "tiny") == (
        2,
        [
            "error: --url is followed by '--scale', not by a URL",
            "hint: pass e.g. --url postgresql://shop@localhost:5432/shop",
        ],
    )
    assert told("seed", "--url") == (
        2,
        ["error: option '--url' requires an argument", "hint: `bench seed --help` lists what it takes"],
    )


def fault(call, *arguments) -> UsageError:
    with pytest.raises(UsageError) as caught:
        call(*arguments)
    return caught.value


def test_a_region_twice():
    error = fault(parse_regions, "us-east,eu-west,us-east")
    assert error.message == "'us-east' is twice in --regions us-east,eu-west,us-east"


def test_what_is_not_a_url():
    error = fault(open_or_explain, "foo")
    assert error.message == "'foo' is not a connection URL"
    assert error.cause
    assert error.hint == "pass e.g. postgresql://shop@localhost:5432/shop"


@pytest.mark.parametrize(
    ("named", "meant"),
    [("order", "did you mean orders"), ("users,cart_item", "did you mean cart_items"), ("nothing", "a table is e.g. ")],
)
def test_a_table_by_a_wrong_name(named: str, meant: str):
    error = fault(chosen_tables, named, source().MODEL)
    assert error.message == f"no table named '{named.rpartition(',')[2]}'"
    assert (error.hint or "").startswith(meant)
    assert (error.hint or "").count("_") <= 3, "not the whole list"


def test_a_run_that_is_not_there(tmp_path: Path):
    runs = tmp_path / "runs"
    assert fault(find_run, runs, "last").message == f"no run 'last': there is no folder '{runs}'"
    write_run(runs / "sale", last=1)
    (tmp_path / "empty").mkdir()
    nothing = fault(find_run, runs, str(tmp_path / "empty"))
    assert nothing.message == f"'{tmp_path / 'empty'}' is not the folder of a run (no run.sqlite in it)"
    assert nothing.hint == "list the runs with: bench runs"
    assert fault(find_run, runs, str(runs)).hint == f"it holds 1 of them: pass '{runs / 'sale'}'"
    assert find_run(runs, str(runs / "sale")) == runs / "sale" == find_run(runs, "sa")
