"""Rows of the catalogue: categories, products, variants, warehouses.

May import ``world`` and the modules below it.
"""

import json
import re

import numpy as np

from bench.data.columns import BigInt, Bool, Json, Money, Text, TextArray, Time, Uuid
from bench.data.counter import Choice, Ints, lane
from bench.data.vocabulary import Digits, Part, Vocabulary
from bench.data.wares import SCHEMES, TREE
from bench.data.world import Columns, World

STATUSES = Vocabulary.of("active", "inactive", "discontinued")
_STATUS = Choice.of(92, 5, 3)
_POPULAR = 0.2
"""Share of the ranks that are always active: a shop does not discontinue what sells."""
_THEMES = Vocabulary.of("bestseller", "new", "eco", "gift", "clearance", "limited")
_ORIGINS = Vocabulary.of("Portugal", "Vietnam", "Italy", "Germany", "Japan", "Mexico", "Turkey", "India")
_TRUE_FALSE = Vocabulary.of("false", "true")
CREATED_DAYS = (400.0, 1095.0)
"""Products are older than the history, so that every one of them can be in any order."""


def slug(name: str) -> str:
    """Return a name as it stands in an address.

    >>> slug("Smith & Co Crew Tee")
    'smith-co-crew-tee'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def categories(world: World, rows: Ints) -> Columns:
    """Return categories by number in the tree."""
    ids, tree = world.streams("categories", "id"), TREE.categories
    parents = np.array([parent for _, parent, _ in tree])[rows]
    paths = [slug(name) if parent < 0 else "" for name, parent, _ in tree]
    for number, (name, parent, _) in enumerate(tree):
        paths[number] = paths[number] or f"{paths[parent]}-{slug(name)}"
    names, slugs = Vocabulary(tuple(name for name, _, _ in tree)), Vocabulary(tuple(paths))
    return {
        "id": Uuid(ids.uuids(rows)),
        "parent_id": Uuid(ids.uuids(np.maximum(parents, 0)), null=parents < 0),
        "name": Text(names[rows]),
        "slug": Text(slugs[rows]),
        "description": Text(b"Everything in ", names[rows], b", chosen and tested by our buyers."),
        "image_url": Text(b"https://img.example.com/categories/", slugs[rows], b".jpg"),
        "sort_order": BigInt(rows),
        "is_active": Bool(np.ones(len(rows), np.bool_)),
        "created_at": Time(world.ago("categories", "created_at", rows, (1095, 1460))),
    }


def products(world: World, rows: Ints) -> Columns:
    """Return products by number."""
    goods, bits = world.catalogue, world.streams("products", "cells").bits(rows)
    cents, digital, created = goods.base_cents[rows], goods.is_digital[rows], _created(world, rows)
    status = np.where(goods.rank[rows] < _POPULAR * goods.count, 0, _STATUS.pick(lane(bits, 0)))
    compare = _dearer(cents, 115 + lane(bits, 1) % 36)
    weight = np.where(digital, 0, 5 + (lane(bits, 2) ** 2 >> 21))
    return {
        "id": Uuid(world.streams("products", "id").uuids(rows)),
        "sku": Text(*goods.product_code(rows)),
        "name": Text(*goods.name(rows)),
        "slug": Text(*_product_slug(world, rows)),
        **_descriptions(world, rows),
        "price": Money(cents),
        "compare_price": Money(compare, null=lane(bits, 1) >= 0.3 * 65536),
        "cost_price": Money(cents * (40 + lane(bits, 3) % 30) // 100),
        "weight": Money(weight),
        "dimensions": _dimensions(world, rows),
        "category_id": Uuid(world.streams("categories", "id").uuids(goods.category[rows])),
        "brand": Text(goods.words.brands.words[goods.brand[rows]]),
        "status": Text(STATUSES[status]),
        "is_digital": Bool(digital),
        "requires_shipping": Bool(~digital),
        "tags": _tags(world, rows),
        "metadata": _metadata(world, rows),
        "created_at": Time(created),
        "updated_at": Time(world.ago("products", "updated_at", rows, (0, 400))),
    }


def _dearer(cents: Ints, percent: Ints | np.int64) -> Ints:
    """Return a higher price with the same ending: that share of the whole units, at least one unit more."""
    return np.asarray(np.maximum(cents // 100 * percent // 100, cents // 100 + 1) * 100 + cents % 100)


def _created(world: World, rows: Ints) -> Ints:
    return world.ago("products", "created_at", rows, CREATED_DAYS)


def _product_slug(world: World, rows: Ints) -> list[Part]:
    goods, words = world.catalogue, world.catalogue.words
    parts: list[Part] = []
    for group, numbers in ((words.brands, goods.brand), (words.materials, goods.material), (words.nouns, goods.noun)):
        slugs = Vocabulary(tuple(slug(word) for word in group.words.words))
        parts += [slugs[numbers[rows]], b"-"]
    return [*parts, Digits(rows + 1)]


def _descriptions(world: World, rows: Ints) -> Columns:
    goods, words = world.catalogue, world.catalogue.words
    bits, root = world.streams("products", "description").bits(rows), goods.root[rows]
    feature, other = words.features.pick(root, lane(bits, 0)), words.features.pick(root, lane(bits, 1))
    use = words.uses.words[words.uses.pick(root, lane(bits, 2))]
    leaves = Vocabulary(tuple(name for name, _, _ in TREE.categories))
    noun = words.nouns.words[goods.noun[rows]]
    first, second = words.features.words[feature], words.features.words[other]
    brand, material = words.brands.words[goods.brand[rows]], words.materials.words[goods.material[rows]]
    return {
        "description": Text(
            *(b"The ", *goods.name(rows), b" is made for ", use, b". It has ", first, b" and ", second, b". From our "),
            *(leaves[goods.category[rows]], b": ", material, b" ", noun, b" by ", brand, b"."),
        ),
        "short_description": Text(material, b" ", noun, b" with ", first, b"."),
    }


def _dimensions(world: World, rows: Ints) -> Json:
    bits = world.streams("products", "dimensions").bits(rows)
    sides = [Digits(1 + (lane(bits, side) * limit >> 16)) for side, limit in ((0, 60), (1, 40), (2, 30))]
    document = (b'{"length": ', sides[0], b', "width": ', sides[1], b', "height": ', sides[2], b"}")
    return Json(*document, null=world.catalogue.is_digital[rows])


def _tags(world: World, rows: Ints) -> TextArray:
    goods = world.catalogue
    roots = Vocabulary(tuple(slug(root.name) for root in TREE.roots))
    leaves = Vocabulary(tuple(slug(leaf.name) for _, leaf in TREE.leaves))
    materials = Vocabulary(tuple(slug(word) for word in goods.words.materials.words.words))
    theme = lane(world.streams("products", "tags").bits(rows), 0) * len(_THEMES) >> 16
    return TextArray(roots[goods.root[rows]], leaves[goods.leaf[rows]], materials[goods.material[rows]], _THEMES[theme])


def _metadata(world: World, rows: Ints) -> Json:
    bits = world.streams("products", "metadata").bits(rows)
    carton = Digits(1 + (lane(bits, 1) * 48 >> 16))
    return Json(
        b'{"origin": "',
        _ORIGINS.json[lane(bits, 0) * len(_ORIGINS) >> 16],
        b'", "units_per_carton": ',
        carton,
        b', "recyclable": ',
        _TRUE_FALSE[lane(bits, 2) & 1],
        b"}",
    )


def product_variants(world: World, rows: Ints) -> Columns:
    """Return the variants of the given products, which have none to six each."""
    goods = world.catalogue
    skus = np.arange(goods.sku_first[rows[0]], goods.sku_first[rows[-1]] + goods.sku_count[rows[-1]], dtype=np.int64)
    skus = skus[goods.is_variant[skus]]
    product, place = goods.product_of_sku[skus], goods.place_of_sku[skus]
    kinds, starts, counts = _combinations()
    leaf = goods.leaf[product]
    base = world.streams("product_variants", "first").below(product, 4096)
    kind = starts[leaf] + (base + place) % np.maximum(counts[leaf], 1)
    price = goods.sku_cents[skus]
    return {
        "id": Uuid(world.streams("product_variants", "id").uuids(skus)),
        "product_id": Uuid(world.streams("products", "id").uuids(product)),
        "sku": Text(*goods.sku_code(skus)),
        "name": Text(kinds[0][kind]),
        "price": Money(price, null=~goods.is_overridden[skus]),
        "compare_price": Money(_dearer(price, np.int64(120)), null=~goods.is_overridden[skus] | (place % 2 == 1)),
        "attributes": Json(kinds[1][kind]),
        "image_url": Text(b"https://img.example.com/variants/", *goods.sku_code(skus), b".jpg", null=place % 3 == 2),
        "sort_order": BigInt(place),
        "is_active": Bool(world.streams("product_variants", "is_active").uniform(skus) < 0.97),
        "created_at": Time(_created(world, product)),
    }


def _combinations() -> tuple[tuple[Vocabulary, Vocabulary], Ints, Ints]:
    """Return names and JSON attributes of all schemes end to end, and where each leaf's begin and how many it has."""
    start, starts, names, attributes = 0, {}, [], []
    for scheme, kinds in SCHEMES.items():
        starts[scheme] = start
        start += len(kinds)
        names += [name for _, name in kinds]
        attributes += [json.dumps(attribute) for attribute, _ in kinds]
    first = np.array([starts[leaf.scheme] for _, leaf in TREE.leaves], np.int64)
    count = np.array([len(SCHEMES[leaf.scheme]) for _, leaf in TREE.leaves], np.int64)
    return (Vocabulary(tuple(names)), Vocabulary(tuple(attributes))), first, count


def warehouses(world: World, rows: Ints) -> Columns:
    """Return warehouses by number."""
    sites = world.warehouses
    codes = Vocabulary(sites.codes)
    region = world.regions[sites.region[rows]]
    return {
        "id": Uuid(world.streams("warehouses", "id").uuids(rows)),
        "region": Text(region),
        "code": Text(codes[rows]),
        "name": Text(b"Warehouse ", codes[rows], b" in ", region),
        "is_active": Bool(np.ones(len(rows), np.bool_)),
        "created_at": Time(world.ago("warehouses", "created_at", rows, (1095, 1460))),
    }
