"""Rows of users and their addresses, and when users signed up.

May import ``world`` and the modules below it.  Within a region users are numbered in the order of signing up: the early ones
before the year of history, the others along the region's curve of demand.
"""

from collections.abc import Iterator

import numpy as np

from bench.data.columns import Bool, Text, Time, Uuid
from bench.data.counter import Choice, Flags, Floats, Ints, lane, scatter
from bench.data.demand import DAY_US
from bench.data.vocabulary import Digits, Part, Vocabulary
from bench.data.world import Columns, World

# bcrypt of "shopbench-0" … "shopbench-7", cost 10: test data, so the clear text may be known; made once, because one hash
# takes 50 ms and a workload that checks a password needs one that is real.
PASSWORD_HASHES = Vocabulary.of(
    "$2b$10$4Z3roIF5OwKnFSextDyw3eNCQpjk4wgxifJ11Lx5vEeRdYWyFtlja",
    "$2b$10$jb3xUZtxRUkbxILPU2YEqeg7Kj1w4KHLsjD0kbqbW7zhBIiGPp0o.",
    "$2b$10$P5DOniioiebg.RvQpEQZceQaUl/58sBdltF9tQqQvQzFBFi6cUGvS",
    "$2b$10$LSQ1kKP5UEkjIsCouonUTu8R6Oz1Cj5psg9YlmTtgxcH6.mlbicG2",
    "$2b$10$Ir4Z5WuZTBoA2Lp5GwDx9eyVfMw1nhbpfDmnsMiF0GVLniMaQs80C",
    "$2b$10$xEttuKIlOcHNJzvjxv1owe.e1fX.Ye4Wvz6nGvPkCCMETC6mFv6Wa",
    "$2b$10$jaNg3mlOKPsdyPuWZvQcQu9Qn/Ec9ud7K6OcehzVyEvkqSLvhVRrS",
    "$2b$10$7rbymImAVsqXctnkcOR6Pen9q0Qz.5msYeG2MuO3w1RRAF9mEw.3y",
)
STATUSES = Vocabulary.of("active", "inactive", "suspended")
_STATUS = Choice.of(96, 3, 1)
_TYPES = Vocabulary.of("shipping", "billing")
SECOND_ADDRESS = 0.4
EARLY_DAYS = 365
TAIL = 100
"""How long the tail of orders per user is: weight 1 / (rank + users / TAIL), so the best customer has 22 times the mean."""


def in_regions(regions: Ints) -> Iterator[tuple[int, Flags | slice]]:
    """Yield each region that occurs and which rows are its; all of them, where a block has one region."""
    found = np.flatnonzero(np.bincount(regions)).tolist()
    for region in found:
        yield region, slice(None) if len(found) == 1 else regions == region


def signed_up(world: World, users: Ints, regions: Ints) -> Ints:
    """Return when users signed up, in µs since 1970."""
    place, share = users - world.users.starts[regions], world.streams("users", "created_at").uniform(users)
    out = np.empty(len(users), np.int64)
    for region, mine in in_regions(regions):
        early, size = world.early_users(region), world.users.size(region)
        at = place[mine] + share[mine]
        before = world.start_us - ((1 - at / early) * EARLY_DAYS * DAY_US).astype(np.int64)
        during = world.demand[region].time(np.clip((at - early) / max(1, size - early), 0, 1 - 1e-9))
        out[mine] = np.where(at < early, before, during)
    return out


def buyers(world: World, region: int, times_us: Ints, rows: Ints) -> Ints:
    """Return the user of each order of one region: someone who had signed up, with a long tail of regular customers."""
    early = world.early_users(region)
    late = world.users.size(region) - early
    joined = np.floor(late * world.demand[region].before(times_us)).astype(np.int64) - 1
    is_late = world.streams("orders", "is late").uniform(rows) * (early + joined) < joined
    draw = world.streams("orders", "user").uniform(rows)
    new = early + (draw * np.maximum(joined, 0)).astype(np.int64)
    return np.asarray(world.users.starts[region] + np.where(is_late, new, regular(draw, early)))


def regular(draws: Floats, count: int) -> Ints:
    """Return numbers in [0, count) of which a few come up often: Zipf-Mandelbrot by inversion, then scattered."""
    shift = max(1.0, count / TAIL)
    ranks = (shift * (((count + shift) / shift) ** draws - 1)).astype(np.int64)
    return scatter(np.minimum(ranks, count - 1), count)


def users(world: World, rows: Ints) -> Columns:
    """Return users by number."""
    region = world.users.region(rows)
    people, faces, bits = world.people, world.people.faces(rows, region), world.streams("users", "cells").bits(rows)
    created = signed_up(world, rows, region)
    first, last, number = people.first_latin[faces.first], people.last_latin[faces.last], Digits(rows + 1)
    seen = (world.as_of_us - created) * lane(bits, 2) >> 16
    return {
        "region": Text(world.regions[region]),
        "id": Uuid(world.streams("users", "id").uuids(rows)),
        "email": Text(first, b".", last, number, b"@", people.domains[faces.locale]),
        "username": Text(first, b"_", number),
        "password_hash": Text(PASSWORD_HASHES[lane(bits, 0) & 7]),
        "first_name": Text(people.first[faces.first]),
        "last_name": Text(people.last[faces.last]),
        "phone": Text(*people.phone(rows, faces)),
        "status": Text(STATUSES[_STATUS.pick(lane(bits, 1))]),
        "created_at": Time(created),
        "updated_at": Time(created + seen),
    }


def has_second_address(world: World, users: Ints) -> Flags:
    """Return which users have an address for bills as well."""
    return world.streams("user_addresses", "second").uniform(users) < SECOND_ADDRESS


def user_addresses(world: World, rows: Ints) -> Columns:
    """Return the one or two addresses of the given users; address ``2 * user`` is for parcels, the next one for bills."""
    second = has_second_address(world, rows)
    users = np.repeat(rows, 1 + second)
    is_second = np.concatenate(([False], users[1:] == users[:-1]))
    address, region = users * 2 + is_second, world.users.region(users)
    faces = world.people.faces(users, region)
    street, place = world.people.address(address, faces)
    people = world.people
    return {
        "region": Text(world.regions[region]),
        "id": Uuid(world.streams("user_addresses", "id").uuids(address)),
        "user_id": Uuid(world.streams("users", "id").uuids(users)),
        "address_type": Text(_TYPES[is_second.astype(np.int64)]),
        "street_address": Text(people.streets[street]),
        "city": Text(people.cities[place]),
        "state": Text(people.states[place]),
        "postal_code": Text(people.postcodes[place]),
        "country": Text(people.countries[faces.locale]),
        "is_default": Bool(~is_second),
        "created_at": Time(signed_up(world, users, region)),
    }


def order_addresses(world: World, users: Ints, regions: Ints) -> tuple[list[Part], list[Part]]:
    """Return the shipping and billing address of orders of the given users, as parts of JSON."""
    faces = world.people.faces(users, regions)
    billing = users * 2 + has_second_address(world, users)
    return world.people.address_json(users * 2, faces), world.people.address_json(billing, faces)
