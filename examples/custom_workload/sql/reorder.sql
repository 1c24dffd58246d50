-- Buying again what was bought before.

-- name: recent_buyers
-- Users of a region who have an order, the latest buyers first.
-- params: region text, count bigint
SELECT DISTINCT user_id
  FROM (SELECT user_id
          FROM orders
         WHERE region = %(region)s::crdb_internal_region
         ORDER BY created_at DESC
         LIMIT %(count)s::BIGINT) AS latest
 ORDER BY user_id

-- name: last_order
-- The user's latest order.
-- params: region text, user_id uuid
SELECT id, order_number, total_amount
  FROM orders
 WHERE region = %(region)s::crdb_internal_region AND user_id = %(user_id)s::UUID
 ORDER BY created_at DESC
 LIMIT 1

-- name: open_reorder_cart
-- An empty cart for the user.
-- params: region text, user_id uuid
INSERT INTO shopping_carts (region, user_id)
VALUES (%(region)s::crdb_internal_region, %(user_id)s::UUID)
RETURNING id

-- name: copy_order_lines
-- Put what an order held, and is still sold, into a cart at the price of now.
-- params: region text, order_id uuid, cart_id uuid
INSERT INTO cart_items (region, cart_id, product_id, variant_id, quantity, unit_price, price_updated_at)
SELECT oi.region, %(cart_id)s::UUID, oi.product_id, oi.variant_id, oi.quantity, COALESCE(v.price, p.price), now()
  FROM order_items oi
  JOIN products p ON p.id = oi.product_id AND p.status = 'active'
  LEFT JOIN product_variants v ON v.id = oi.variant_id
 WHERE oi.region = %(region)s::crdb_internal_region AND oi.order_id = %(order_id)s::UUID
   AND (oi.variant_id IS NULL OR v.is_active)
    ON CONFLICT (region, cart_id, product_id, variant_key) DO NOTHING
RETURNING product_id, quantity, unit_price

-- name: count_cart_lines
-- How many lines a cart has; none when there is no such cart.
-- params: region text, cart_id uuid
SELECT count(*)
  FROM cart_items
 WHERE region = %(region)s::crdb_internal_region AND cart_id = %(cart_id)s::UUID
