-- The cart.

-- name: create_cart
-- A cart for a user who logged in.
-- params: region text, user_id uuid
INSERT INTO shopping_carts (region, user_id)
VALUES (%(region)s::crdb_internal_region, %(user_id)s::UUID)
RETURNING id

-- name: add_cart_item
-- Put an item in the cart with its price of now, or raise its quantity.
-- params: region text, cart_id uuid, product_id uuid, variant_id uuid, quantity bigint
INSERT INTO cart_items (region, cart_id, product_id, variant_id, quantity, unit_price, price_updated_at)
SELECT %(region)s::crdb_internal_region, %(cart_id)s::UUID, p.id, v.id, %(quantity)s::BIGINT,
       COALESCE(v.price, p.price), now()
  FROM products p
  LEFT JOIN product_variants v ON v.id = %(variant_id)s::UUID
 WHERE p.id = %(product_id)s::UUID
    ON CONFLICT (region, cart_id, product_id, variant_key)
    DO UPDATE SET quantity = cart_items.quantity + excluded.quantity, unit_price = excluded.unit_price,
                  price_updated_at = excluded.price_updated_at
RETURNING id, quantity, unit_price

-- name: view_cart
-- The cart's lines with the price of now beside the price when added.
-- params: region text, cart_id uuid
SELECT ci.product_id, ci.variant_id, ci.quantity, ci.unit_price, COALESCE(v.price, p.price), p.sku, p.name
  FROM cart_items ci
  JOIN products p ON p.id = ci.product_id
  LEFT JOIN product_variants v ON v.id = ci.variant_id
 WHERE ci.region = %(region)s::crdb_internal_region AND ci.cart_id = %(cart_id)s::UUID
 ORDER BY ci.product_id, ci.variant_key

-- name: delete_cart
-- Remove a cart; its lines go with it.
-- params: region text, cart_id uuid
DELETE FROM shopping_carts
 WHERE region = %(region)s::crdb_internal_region AND id = %(cart_id)s::UUID
