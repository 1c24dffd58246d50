"""People fit their region: script, country, postcode, phone, address of mail."""

import re

import numpy as np
import pytest

from bench.data import people as faces_of
from bench.data.blocks import DataSet
from bench.data.people import COUNTRIES, People, latin, locale
from bench.data.regions import PROFILES, profile

POSTCODES = {
    "en_US": r"\d{5}",
    "en_GB": r"[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}",
    "de_DE": r"\d{5}",
    "fr_FR": r"\d{5}",
    "ja_JP": r"\d{3}-\d{4}",
    "en_AU": r"\d{4}",
    "en_IN": r"\d{6}",
}
# Latin letters with the marks of western Europe, or kanji, kana and the digits of Japanese addresses.
WESTERN = re.compile(r"[\u0020-\u024f\u2019]+")
JAPANESE = re.compile(r"[\u3005\u3040-\u30ff\u4e00-\u9fff]")


@pytest.mark.parametrize("name", COUNTRIES)
def test_a_locale_has_its_own_script_and_postcodes(name: str):
    words = locale(name)
    assert all(re.fullmatch(POSTCODES[name], code) for _, _, code in words.places)
    native = [word for word, _ in (*words.first, *words.last)]
    pattern = JAPANESE.match if name == "ja_JP" else WESTERN.fullmatch
    assert all(pattern(word) for word in native)
    assert all(re.fullmatch(r"[a-z]+", plain) for _, plain in (*words.first, *words.last))
    assert not any("\n" in street or '"' in street for street in words.streets)


def test_american_places_are_on_the_coast_of_their_region():
    for region in ("us-east", "us-west"):
        states = {state for _, state, _ in locale("en_US", PROFILES[region].states).places}
        assert states == set(PROFILES[region].states)
    assert {code[0] for _, state, code in locale("en_US", PROFILES["us-west"].states).places if state == "CA"} == {"9"}


def test_an_unknown_region_speaks_american():
    assert profile("mars").locales == (("en_US", 1.0),)


@pytest.mark.parametrize("region", range(4))
def test_a_region_mixes_its_locales_as_it_should(small_data: DataSet, region: int):
    world = small_data.world
    users = np.arange(world.users.starts[region], world.users.starts[region + 1])
    countries = world.people.countries[world.people.faces(users, np.full(len(users), region)).locale]
    names = np.array(countries.vocabulary.words)[countries.numbers]
    for name, share in profile(world.spec.regions[region]).locales:
        assert (names == COUNTRIES[name]).mean() == pytest.approx(share, abs=0.06), name


def test_an_address_belongs_to_one_locale(small_data: DataSet):
    people, world = small_data.world.people, small_data.world
    users = np.arange(world.users.total)
    faces = people.faces(users, world.users.region(users))
    street, place = people.address(users * 2, faces)
    assert (street // faces_of.STREETS == faces.locale).all()
    assert (place // faces_of.PLACES == faces.locale).all()
    assert (faces.first // faces_of.NAMES == faces.locale).all()


def test_names_in_latin_letters():
    assert [latin(name) for name in ("Jürgen", "Renée", "O'Neil", "Groß", "日本")] == [
        *("juergen", "renee", "oneil", "gross", "shopper")
    ]


def test_vocabularies_are_made_once(small_data: DataSet):
    locale.cache_clear()
    People(small_data.spec.regions, small_data.world.streams)
    made = locale.cache_info().misses
    assert made > 0
    People(small_data.spec.regions, small_data.world.streams)
    assert locale.cache_info().misses == made
