"""Rows of product reviews: most by buyers of the product after it was delivered, some by users who never bought it.

May import ``world`` and the modules below it.
"""

import numpy as np

from bench.data import customers, orders
from bench.data.baskets import fill
from bench.data.columns import BigInt, Bool, Text, Time, Uuid
from bench.data.counter import Floats, Ints, lane
from bench.data.demand import DAY_US
from bench.data.vocabulary import Part, Vocabulary
from bench.data.world import Columns, World

WRITTEN = 0.23
"""Share of delivered orders of which one line is reviewed."""
UNVERIFIED = 0.1
"""Share of users who review something that they did not buy here."""
APPROVED = 0.92

# By stars, one to five; five titles and four sentences of each kind.
_TITLES = Vocabulary.of(
    *("Not what I ordered", "Broke in a week", "Very disappointed", "Do not buy", "Poor quality"),
    *("Below expectations", "Had to send it back", "Not great", "Could be better", "Too expensive for this"),
    *("It is fine", "Average", "Does the job", "Mixed feelings", "Okay for the price"),
    *("Good buy", "Happy with it", "Solid quality", "Nearly perfect", "Would buy again"),
    *("Excellent", "Love it", "Best I have had", "Perfect", "Exceeded my expectations"),
)
_OPINIONS = Vocabulary.of(
    *("It stopped working after a few days.", "The material feels cheap.", "It looks nothing like the pictures."),
    *("Support never answered.", "The finish is uneven.", "It is smaller than I thought."),
    *("It came late and the box was damaged.", "The description promises too much.", "It does what it says, no more."),
    *(
        "Quality is average.",
        "Good idea, but the details are not there yet.",
        "Delivery was quick, the rest is ordinary.",
    ),
    *("Well made and good value.", "It fits well and feels sturdy.", "I use it nearly every day."),
    *("A small flaw in the finish, otherwise great.", "Fantastic quality, beautifully made."),
    *("My whole family wants one now.", "It is exactly what I was looking for.", "I have bought a second one already."),
)
_ENDINGS = Vocabulary.of(
    *("I sent it back.", "I cannot recommend it.", "I would not buy it again.", "I am still waiting for a refund."),
    *("I may try another brand.", "Not for me.", "I expected more.", "It will do for now."),
    *("Okay for the price.", "I would buy it on sale.", "Time will tell.", "Neither good nor bad."),
    *("I would buy it again.", "Recommended.", "Good service, too.", "My friends like it as well."),
    *("Highly recommended!", "Thank you!", "I could not be happier.", "Worth every cent."),
)


def stars(world: World, products: Ints, draws: Floats) -> Ints:
    """Return ratings 1-5 around each product's hidden quality; ``draws`` are standard normal."""
    return np.clip(np.rint(world.catalogue.quality[products] + 1.1 * draws), 1, 5).astype(np.int64)


def by_buyers(world: World, rows: Ints) -> Columns:
    """Return the reviews of the given orders, at most one of each."""
    bits = world.streams("product_reviews", "chosen").bits(rows)
    chosen = lane(bits, 0) < WRITTEN * 65536
    rows, bits = rows[chosen], bits[chosen]
    found = orders.orders_of(world, rows)
    at = found.delivered_us + DAY_US + lane(bits, 1) * (29 * DAY_US >> 16)
    kept = (found.status == orders.DELIVERED) & (at < world.as_of_us)
    rows, at = rows[kept], at[kept]
    lines = fill(world, "order_items", rows)
    sizes = np.diff(np.append(lines.first, len(lines.sku)))
    product = lines.product[lines.first + (lane(bits, 2)[kept] * sizes >> 16)]
    order = Uuid(world.streams("orders", "id").uuids(rows))
    return _reviews(world, rows * 2, product, (found.user[kept], found.region[kept]), at, order)


def by_others(world: World, rows: Ints) -> Columns:
    """Return the reviews by the given users of products that they did not buy, at most one each."""
    rows = rows[world.streams("product_reviews", "unverified").uniform(rows) < UNVERIFIED]
    region = world.users.region(rows)
    since = np.maximum(customers.signed_up(world, rows, region), world.start_us)
    draw = world.streams("product_reviews", "other day").uniform(rows)
    at = since + ((world.as_of_us - 1 - since) * draw).astype(np.int64)
    product = world.catalogue.by_popularity(world.streams("product_reviews", "other product").uniform(rows))
    order = Uuid(world.streams("orders", "id").uuids(rows), null=np.ones(len(rows), np.bool_))
    return _reviews(world, rows * 2 + 1, product, (rows, region), at, order)


def _reviews(world: World, numbers: Ints, product: Ints, by: tuple[Ints, Ints], at: Ints, order: Uuid) -> Columns:
    user, region = by
    rating = stars(world, product, world.streams("product_reviews", "rating").normal(numbers))
    bits = world.streams("product_reviews", "cells").bits(numbers)
    helpful = np.floor(3 * (65536 / (1 + lane(bits, 1))) ** 0.6 - 3).astype(np.int64)
    return {
        "region": Text(world.regions[region]),
        "id": Uuid(world.streams("product_reviews", "id").uuids(numbers)),
        "product_id": Uuid(world.streams("products", "id").uuids(product)),
        "user_id": Uuid(world.streams("users", "id").uuids(user)),
        "order_id": order,
        "rating": BigInt(rating),
        "title": Text(_TITLES[(rating - 1) * 5 + (lane(bits, 0) * 5 >> 16)]),
        "review_text": Text(*_words(world, product, rating, numbers)),
        "is_verified": Bool(np.full(len(numbers), order.null is None)),
        "is_approved": Bool(lane(bits, 2) < APPROVED * 65536),
        "helpful_count": BigInt(helpful),
        "created_at": Time(at),
        "updated_at": Time(at),
    }


def _words(world: World, product: Ints, rating: Ints, numbers: Ints) -> list[Part]:
    bits, goods = world.streams("product_reviews", "words").bits(numbers), world.catalogue
    group = (rating - 1) * 4
    noun = goods.words.nouns.words[goods.noun[product]]
    opinion, ending = _OPINIONS[group + (lane(bits, 0) & 3)], _ENDINGS[group + (lane(bits, 1) & 3)]
    return [b"The ", noun, b": ", opinion, b" ", ending]
