"""The rules of the audit: what must hold, the statement that finds where it does not, and the SQL to see it.

A rule's statement returns violating rows, a few; its first column, ``violations``, counts them all.  Imports nothing but
the standard library.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; ``statement`` and ``look`` are names in the catalogue, ``look`` takes the columns of a violating row.

    ``detail`` is a format string over the first violating row; ``hidden`` are columns for the detail alone.
    """

    name: str
    title: str
    statement: str
    look: str
    detail: str
    hidden: frozenset[str] = frozenset()

    def describe(self, row: Mapping[str, object]) -> str:
        """Return the detail of a finding, given the first violating row."""
        return self.detail.format_map(row)


RULES = (
    Rule(
        "stock_movements",
        "every inventory row is the sum of its movements",
        "audit_stock_movements",
        "look_stock_movements",
        "{violations} inventory rows; the first shows {quantity_available} available where its movements leave "
        "{available_by_movements}, and {quantity_reserved} reserved where they leave {reserved_by_movements}",
    ),
    Rule(
        "stock_negative",
        "no quantity is below zero",
        "audit_stock_negative",
        "look_stock_negative",
        "{violations} inventory rows",
    ),
    Rule(
        "oversold",
        "no item is sold or held beyond the units stocked",
        "audit_oversold",
        "look_item_orders",
        "{violations} units oversold of {items} items; of the worst, {stocked} were stocked and {claimed} claimed: the "
        "latest {claims} claims cover the {beyond} units beyond",
        frozenset({"items", "claims"}),
    ),
    Rule(
        "orders_movements",
        "the units of live orders are those their movements took",
        "audit_orders_movements",
        "look_item_movements",
        "{violations} items; of the first, live orders hold {units_in_orders} units and movements took {units_by_movements}",
    ),
    Rule(
        "reservations",
        "reserved units stand for unshipped orders and reserved carts",
        "audit_reservations",
        "look_item_orders",
        "{violations} items; of the first, {quantity_reserved} are reserved for {units_in_orders} in orders and "
        "{units_in_carts} in carts",
    ),
    Rule(
        "order_totals",
        "every order adds up",
        "audit_order_totals",
        "look_order",
        "{violations} orders; the first, {order_number}: {fault}",
    ),
    Rule(
        "coupon_uses",
        "each region's coupon counter is its usages, within its allotment",
        "audit_coupon_uses",
        "look_coupon",
        "{violations} counters; the first, in {region}, says {used} of {allotted} with {usages} usages",
    ),
    Rule(
        "coupon_limits",
        "no coupon is allotted beyond its limit",
        "audit_coupon_limits",
        "look_coupon",
        "{violations} coupons; the first, {code}, allows {usage_limit} with {allotted} allotted and {used} used",
    ),
    Rule(
        "discounts",
        "each order's discount is that of its coupons",
        "audit_discounts",
        "look_discount",
        "{violations} orders; the first, {order_number}, has {discount_amount} where its usages give {discount_by_usages}",
    ),
    Rule(
        "order_numbers",
        "order numbers are unique across regions",
        "audit_order_numbers",
        "look_order_number",
        "{violations} numbers; the first, {order_number}, was given {orders} times",
    ),
    Rule(
        "idempotency_keys",
        "an idempotency key buys once across regions",
        "audit_idempotency_keys",
        "look_idempotency_key",
        "{violations} keys; the first bought {orders} times",
    ),
    Rule(
        "accounts",
        "e-mail addresses and user names are unique across regions",
        "audit_accounts",
        "look_account",
        "{violations} values; the first, the {kind} {value}, is held by {users} users",
    ),
    Rule(
        "payment",
        "payment and fulfilment match the status",
        "audit_payment",
        "look_order",
        "{violations} orders; the first, {order_number}, is {status} with payment {payment_status} and {fulfillment_status}",
    ),
)
