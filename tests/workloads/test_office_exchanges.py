"""What the sessions of the back office and of the sale cost in exchanges, against what sizes their pools of users."""

from collections.abc import Callable
from typing import Any

import pytest

from .playing import act, rewind

COUNT = """
found = {}
for user, settings, rounds in ((BackOfficeUser, {}, 12), (FlashSaleUser, {"units_per_region": 30}, 12)):
    stage = Troupe(URL, user, **settings)
    players = [stage.another(region) for region in REGIONS]
    for name in user.sessions:
        costs = []
        for number in range(rounds):
            one = players[number % 4]
            one.statements.clear()
            getattr(one, user.sessions[name])(Random(number))
            costs.append(len(one.statements))
        found[f"{user.__name__}.{name}"] = [sum(costs) / rounds, max(costs), user.exchanges.get(name)]
say(found)
"""


@pytest.mark.slow
def test_the_exchanges_that_are_declared_are_those_of_a_busy_session(copy: Callable[[], Any]) -> None:
    shop = copy()
    for region in ("us-east", "us-west", "eu-west", "asia-pac"):
        rewind(shop, "confirmed", 3, region)
    shop.rows("UPDATE shopping_carts SET expires_at = now() - INTERVAL '1 day' WHERE id::TEXT < '8'")
    found = act(shop.url, COUNT)
    for name, (mean, most, declared) in found.items():
        # Between what an idle session costs and a little more than the busiest one seen.
        assert declared is not None, name
        assert mean * 0.7 - 1 <= declared <= most + 3, (name, mean, most, declared)
