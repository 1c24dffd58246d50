"""Asking a live server for the facts that our code relies on, one by one, and saying which of them do not hold.

May import its neighbours in ``bench.db`` and psycopg.  A fact that cannot be asked for is told as an error, and the next one
is asked for: the point is the whole list.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import psycopg

from bench.db.dialects import release_of
from bench.db.lab import Lab

Check = Callable[[Lab], str]
"""Asks, and returns what it found; raises psycopg.Error for what the server refuses."""
State = Literal["ok", "differs", "error"]


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that a server does.  ``found`` must be as ``expected``; a refusal is found as ``refused SQLSTATE``."""

    name: str
    needed_by: str
    """What of our code relies on it."""
    source: str
    """Where it is documented: ``[D:…]``, ``[LT:…]`` as in docs/cockroachdb.md."""
    expected: str
    check: Check
    is_shared: bool = False
    """Whether PostgreSQL agrees."""
    since: tuple[int, int] = (0, 0)
    """The first release of CockroachDB that it is a fact of."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A fact and what a server made of it."""

    fact: str
    expected: str
    found: str
    state: State
    needed_by: str
    source: str


def applicable(facts: Iterable[Fact], lab: Lab) -> Iterator[Fact]:
    """Yield those facts that the server of a lab should agree with."""
    for fact in facts:
        if not lab.dialect.has_regions:
            if fact.is_shared:
                yield fact
        elif release_of(lab.version) >= fact.since:
            yield fact


def check_facts(lab: Lab, facts: Iterable[Fact]) -> Iterator[Checked]:
    """Check the facts that apply, in their order, and yield each as soon as it is known."""
    for fact in applicable(facts, lab):
        found, state = _check(fact, lab)
        lab.clear()
        yield Checked(fact.name, fact.expected, found, state, fact.needed_by, fact.source)


def _check(fact: Fact, lab: Lab) -> tuple[str, State]:
    try:
        found = fact.check(lab)
    except psycopg.Error as error:
        if f"refused {error.sqlstate}" == fact.expected:
            return fact.expected, "ok"
        said = next(iter(str(error).splitlines()), type(error).__name__)
        return f"{error.sqlstate or 'no answer'}: {said}", "error"
    return found, "ok" if found == fact.expected else "differs"
