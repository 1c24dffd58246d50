"""Faker's names, streets and places by locale, as vocabularies that are sampled by number.

May import nothing of the package but ``counter``, ``regions`` and ``vocabulary``.  Faker makes 3 k rows a second, a look-up
in its words over a million; ``use_weighting=False`` makes its American names ten times faster.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TypeVar

import numpy as np
from faker import Faker

from bench.data.counter import Ints, Streams, lane
from bench.data.regions import profile
from bench.data.vocabulary import Digits, Part, Vocabulary, Word

Made = TypeVar("Made")

NAMES = 1200
STREETS = 900
PLACES = 700
_LONGEST_NAME = 12
_LONGEST_STREET = 32
_LONGEST_PLACE = 32
"""Bytes of a word at most: in JSON the words have blanks to the longest one's length."""
_SEED = 20_240_101
"""Of the vocabularies only: they are the same for every data seed, so that they are made once in a process."""

COUNTRIES = {
    "en_US": "United States",
    "en_GB": "United Kingdom",
    "de_DE": "Germany",
    "fr_FR": "France",
    "ja_JP": "Japan",
    "en_AU": "Australia",
    "en_IN": "India",
}
DOMAINS = {
    "en_US": "example.com",
    "en_GB": "example.co.uk",
    "de_DE": "example.de",
    "fr_FR": "example.fr",
    "ja_JP": "example.jp",
    "en_AU": "example.com.au",
    "en_IN": "example.in",
}
# Mobile prefixes to which seven digits make a number of the right length.
PHONES = {
    "en_US": "+1 555 ",
    "en_GB": "+44 770",
    "de_DE": "+49 1555 ",
    "fr_FR": "+33 63",
    "ja_JP": "+81 90 5",
    "en_AU": "+61 49",
    "en_IN": "+91 955 ",
}


@dataclass(frozen=True, slots=True)
class Locale:
    """One locale's words, of lengths NAMES, NAMES, STREETS and PLACES; a name is (as written, in Latin letters)."""

    name: str
    first: tuple[tuple[str, str], ...]
    last: tuple[tuple[str, str], ...]
    streets: tuple[str, ...]
    places: tuple[tuple[str, str, str], ...]
    """(city, state, postcode)."""


def latin(name: str) -> str:
    """Return a name as the local part of an e-mail address has it.

    >>> latin("Jürgen Groß"), latin("O'Neil")
    ('juergengross', 'oneil')
    """
    for letter, letters in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss"), ("Ö", "oe"), ("Ü", "ue"), ("Ä", "ae")):
        name = name.replace(letter, letters)
    ascii_only = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z]", "", ascii_only.lower()) or "shopper"


@lru_cache(maxsize=32)
def locale(name: str, states: tuple[str, ...] = ()) -> Locale:
    """Return the words of a locale; ``states`` limits American places."""
    faker = Faker(name, use_weighting=False)
    faker.seed_instance(_SEED)
    first, last = _names(faker, name)
    streets = _short(lambda: _street(faker, name), STREETS, str, _LONGEST_STREET)
    places = _short(lambda: _place(faker, name, states), PLACES, "".join, _LONGEST_PLACE)
    return Locale(name, first, last, streets, places)


def _names(faker: Faker, name: str) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, str], ...]]:
    if name == "ja_JP":
        first, last = (
            tuple((pair[0], latin(pair[2])) for pair in _short(make, NAMES, lambda pair: pair[0], _LONGEST_NAME))
            for make in (faker.first_name_pair, faker.last_name_pair)
        )
        return first, last
    first, last = (
        tuple((word, latin(word)) for word in _short(make, NAMES, str, _LONGEST_NAME))
        for make in (faker.first_name, faker.last_name)
    )
    return first, last


def _short(make: Callable[[], Made], count: int, text: Callable[[Made], str], longest: int) -> tuple[Made, ...]:
    """Return that many made whose text in UTF-8 is not too long."""
    fitting = (one for one in iter(make, None) if len(text(one).encode()) <= longest)
    return tuple(islice(fitting, count))


def _street(faker: Faker, name: str) -> str:
    if name == "ja_JP":
        return f"{faker.town()}{faker.chome()}{faker.ban()}{faker.gou()}"
    return str(faker.street_address()).replace("\n", ", ")


def _place(faker: Faker, name: str, states: tuple[str, ...]) -> tuple[str, str, str]:
    city = str(faker.city())
    if name == "en_US":
        state = faker.random_element(states) if states else faker.state_abbr(include_territories=False)
        return city, state, faker.postcode_in_state(state)
    if name == "en_AU":
        state = faker.state_abbr()
        return city, state, faker.postcode()
    state = faker.state() if name in ("de_DE", "en_IN") else faker.administrative_unit()
    return city, state, faker.postcode()


@dataclass(frozen=True)
class Faces:
    """Who rows are: numbers into the vocabularies of ``People``, each (n,)."""

    locale: Ints
    first: Ints
    last: Ints


class People:
    """The words of all locales of some regions, end to end: word ``i`` of locale ``l`` has the number ``l * size + i``."""

    def __init__(self, regions: tuple[str, ...], streams: Streams) -> None:
        found = [[locale(name, _states(region, name)) for name, _ in profile(region).locales] for region in regions]
        locales = [one for group in found for one in group]
        self._pick = _locale_table(regions)
        self._streams = streams
        self.first = Vocabulary(tuple(name for one in locales for name, _ in one.first))
        self.last = Vocabulary(tuple(name for one in locales for name, _ in one.last))
        self.first_latin = Vocabulary(tuple(name for one in locales for _, name in one.first))
        self.last_latin = Vocabulary(tuple(name for one in locales for _, name in one.last))
        self.streets = Vocabulary(tuple(street for one in locales for street in one.streets))
        places = [(place, one.name) for one in locales for place in one.places]
        self.cities = Vocabulary(tuple(place[0] for place, _ in places))
        self.states = Vocabulary(tuple(place[1] for place, _ in places))
        self.postcodes = Vocabulary(tuple(place[2] for place, _ in places))
        self.countries = Vocabulary(tuple(COUNTRIES[one.name] for one in locales))
        self.domains = Vocabulary(tuple(DOMAINS[one.name] for one in locales))
        self.phones = Vocabulary(tuple(PHONES[one.name] for one in locales))
        self._full = Vocabulary((*self.first.words, *self.last.words))
        self._family_first = np.array([one.name == "ja_JP" for one in locales])
        self._places_json = Vocabulary(tuple(_place_json(place, COUNTRIES[name]) for place, name in places), "after")

    def faces(self, users: Ints, regions: Ints) -> Faces:
        """Return the people of the given users, whose regions are given by number."""
        bits = self._streams("users", "face").bits(users)
        number = self._pick[regions, lane(bits, 0)].astype(np.int64)
        first = number * NAMES + (lane(bits, 1) * NAMES >> 16)
        return Faces(number, first, number * NAMES + (lane(bits, 2) * NAMES >> 16))

    def full_name(self, faces: Faces) -> tuple[Word, Word]:
        """Return the two halves of a name as a JSON string, in the order in which its locale writes it."""
        family_first = self._family_first[faces.locale]
        last = faces.last + len(self.first)
        start = np.where(family_first, last, faces.first)
        return self._full.json_start[start], self._full.json_end[faces.first + last - start]

    def address(self, addresses: Ints, faces: Faces) -> tuple[Ints, Ints]:
        """Return the numbers of street and place of addresses whose owners are given."""
        bits = self._streams("user_addresses", "place").bits(addresses)
        street = faces.locale * STREETS + (lane(bits, 0) * STREETS >> 16)
        return street, faces.locale * PLACES + (lane(bits, 1) * PLACES >> 16)

    def address_json(self, addresses: Ints, faces: Faces) -> list[Part]:
        """Return the parts of an order's address as JSON."""
        street, place = self.address(addresses, faces)
        one, two = self.full_name(faces)
        name: list[Part] = [b'{"name": ', one, b" ", two, b', "street": "']
        return [*name, self.streets.json_end[street], b", ", self._places_json[place], b"}"]

    def phone(self, users: Ints, faces: Faces) -> list[Part]:
        """Return the parts of a phone number, at most 20 characters."""
        return [self.phones[faces.locale], Digits(self._streams("users", "phone").below(users, 10_000_000), 7)]


def _states(region: str, name: str) -> tuple[str, ...]:
    return profile(region).states if name == "en_US" else ()


def _locale_table(regions: tuple[str, ...]) -> np.ndarray[tuple[int, ...], np.dtype[np.int8]]:
    """Return (regions, 65536): the number of the locale, counted over all regions, for each 16-bit number."""
    rows, first = [], 0
    for region in regions:
        weights = np.array([weight for _, weight in profile(region).locales])
        ends = np.rint(np.cumsum(weights) / weights.sum() * 65536).astype(np.int64)
        rows.append(np.repeat(np.arange(first, first + len(weights), dtype=np.int8), np.diff(ends, prepend=0)))
        first += len(weights)
    return np.stack(rows)


def _place_json(place: tuple[str, str, str], country: str) -> str:
    city, state, postcode = (text.replace('"', "") for text in place)
    return f'"city": "{city}", "state": "{state}", "postal_code": "{postcode}", "country": "{country}"'
