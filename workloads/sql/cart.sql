-- The cart.  A line that holds stock (reserved) is changed only by statements that say so: its units stand in a warehouse's
-- quantity_reserved, and whoever drops the line must put them back.

-- name: create_cart
-- A cart for a user who logged in.
-- params: region text, user_id uuid
INSERT INTO shopping_carts (region, user_id)
VALUES (%(region)s::crdb_internal_region, %(user_id)s::UUID)
RETURNING id

-- name: create_guest_cart
-- A cart for a visitor, known by the session's cookie.
-- params: region text, session_id text
INSERT INTO shopping_carts (region, session_id)
VALUES (%(region)s::crdb_internal_region, %(session_id)s::TEXT)
RETURNING id

-- name: find_cart_of_user
-- The cart that a user left last, unless it has expired.
-- params: region text, user_id uuid
SELECT id
  FROM shopping_carts
 WHERE region = %(region)s::crdb_internal_region AND user_id = %(user_id)s::UUID AND expires_at > now()
 ORDER BY updated_at DESC, id
 LIMIT 1

-- name: find_cart_of_session
-- A visitor's cart.
-- params: region text, session_id text
SELECT id
  FROM shopping_carts
 WHERE region = %(region)s::crdb_internal_region AND session_id = %(session_id)s::TEXT AND expires_at > now()
 ORDER BY updated_at DESC, id
 LIMIT 1

-- name: touch_cart
-- Note that the cart is in use; whoever changes held lines waits here for the others.  No row when the cart is gone.
-- params: region text, cart_id uuid
UPDATE shopping_carts
   SET updated_at = now()
 WHERE region = %(region)s::crdb_internal_region AND id = %(cart_id)s::UUID
RETURNING id

-- name: expire_cart_soon
-- A cart that holds stock expires after a while, so that nobody keeps goods from others for good.
-- params: region text, cart_id uuid, seconds bigint
UPDATE shopping_carts
   SET updated_at = now(), expires_at = now() + %(seconds)s::BIGINT * INTERVAL '1 second'
 WHERE region = %(region)s::crdb_internal_region AND id = %(cart_id)s::UUID
RETURNING id

-- name: add_cart_item
-- Put an item in the cart with its price of now, or raise its quantity.  No row when the line holds stock, or the product is
-- no longer there.
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
              WHERE NOT cart_items.reserved
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

-- name: accept_prices
-- The shopper has seen the new prices: the lines carry them from now on.
-- params: region text, cart_id uuid
UPDATE cart_items ci
   SET unit_price = n.price, price_updated_at = now()
  FROM (SELECT c.id, COALESCE(v.price, p.price) AS price
          FROM cart_items c
          JOIN products p ON p.id = c.product_id
          LEFT JOIN product_variants v ON v.id = c.variant_id
         WHERE c.region = %(region)s::crdb_internal_region AND c.cart_id = %(cart_id)s::UUID) n
 WHERE ci.region = %(region)s::crdb_internal_region AND ci.id = n.id AND ci.unit_price <> n.price
RETURNING ci.id

-- name: set_cart_quantity
-- Change a line's quantity; no row when there is no such line, or it holds stock.
-- params: region text, cart_id uuid, product_id uuid, variant_key uuid, quantity bigint
UPDATE cart_items
   SET quantity = %(quantity)s::BIGINT
 WHERE region = %(region)s::crdb_internal_region AND cart_id = %(cart_id)s::UUID
   AND product_id = %(product_id)s::UUID AND variant_key = %(variant_key)s::UUID AND NOT reserved
RETURNING id

-- name: remove_cart_item
-- Take a line out of the cart; no row when there is no such line, or it holds stock.
-- params: region text, cart_id uuid, product_id uuid, variant_key uuid
DELETE FROM cart_items
 WHERE region = %(region)s::crdb_internal_region AND cart_id = %(cart_id)s::UUID
   AND product_id = %(product_id)s::UUID AND variant_key = %(variant_key)s::UUID AND NOT reserved
RETURNING id

-- name: hold_cart_item
-- Note on a line that its units are reserved, and where; no row when it has changed since.
-- params: region text, cart_id uuid, product_id uuid, variant_key uuid, quantity bigint, warehouse_id uuid
UPDATE cart_items
   SET reserved = true, warehouse_id = %(warehouse_id)s::UUID
 WHERE region = %(region)s::crdb_internal_region AND cart_id = %(cart_id)s::UUID
   AND product_id = %(product_id)s::UUID AND variant_key = %(variant_key)s::UUID
   AND quantity = %(quantity)s::BIGINT AND NOT reserved
RETURNING id

-- name: held_cart_items
-- The lines that hold stock with the inventory row that they hold it in, in the order in which all lock stock.
-- params: region text, cart_id uuid
SELECT ci.id, ci.product_id, ci.variant_key, ci.quantity, i.region::TEXT, i.id
  FROM cart_items ci
  JOIN warehouses w ON w.id = ci.warehouse_id
  JOIN inventory i ON i.region = w.region AND i.product_id = ci.product_id AND i.variant_key = ci.variant_key
                  AND i.warehouse_id = ci.warehouse_id
 WHERE ci.region = %(region)s::crdb_internal_region AND ci.cart_id = %(cart_id)s::UUID AND ci.reserved
 ORDER BY ci.product_id, ci.variant_key

-- name: let_go_cart_items
-- Note on lines that they hold nothing any more.
-- params: region text, ids uuid[]
UPDATE cart_items
   SET reserved = false, warehouse_id = NULL
 WHERE region = %(region)s::crdb_internal_region AND id = ANY(%(ids)s::UUID[]) AND reserved
RETURNING id

-- name: return_held_stock
-- Put units that a cart held back on the shelf.
-- params: region text, inventory_id uuid, quantity bigint
UPDATE inventory
   SET quantity_available = quantity_available + %(quantity)s::BIGINT,
       quantity_reserved = quantity_reserved - %(quantity)s::BIGINT,
       version = version + 1, last_updated = now()
 WHERE region = %(region)s::crdb_internal_region AND id = %(inventory_id)s::UUID

-- name: insert_cart_movements
-- The movements of units that a cart takes or gives back.
-- params: regions text[], inventory uuid[], quantities bigint[], cart_region text, cart_id uuid, type text
INSERT INTO inventory_movements (region, inventory_id, movement_type, quantity, reference_type, reference_region,
                                 reference_id)
SELECT t.region::crdb_internal_region, t.inventory_id, %(type)s::TEXT, t.quantity, 'cart',
       %(cart_region)s::crdb_internal_region, %(cart_id)s::UUID
  FROM unnest(%(regions)s::TEXT[], %(inventory)s::UUID[], %(quantities)s::BIGINT[])
       AS t (region, inventory_id, quantity)

-- name: merge_cart_items
-- Add a guest's lines to a user's cart.  What stands in both is added up, with the price of whichever was added later; the
-- others keep the price that the guest saw.
-- params: region text, from_cart uuid, into_cart uuid
INSERT INTO cart_items (region, cart_id, product_id, variant_id, quantity, unit_price, price_updated_at, added_at)
SELECT region, %(into_cart)s::UUID, product_id, variant_id, quantity, unit_price, price_updated_at, added_at
  FROM cart_items
 WHERE region = %(region)s::crdb_internal_region AND cart_id = %(from_cart)s::UUID
 ORDER BY product_id, variant_key
    ON CONFLICT (region, cart_id, product_id, variant_key)
    DO UPDATE SET quantity = cart_items.quantity + excluded.quantity,
                  unit_price = CASE WHEN excluded.price_updated_at >= cart_items.price_updated_at
                                    THEN excluded.unit_price ELSE cart_items.unit_price END,
                  price_updated_at = GREATEST(cart_items.price_updated_at, excluded.price_updated_at)
RETURNING id

-- name: coupon_by_code
-- What a coupon is worth to a user, and why not: nothing is taken before checkout.
-- params: region text, code text, user_id uuid
SELECT c.id, c.code, c.type, c.value, c.minimum_amount, c.maximum_discount,
       c.is_active AND c.valid_from <= now() AND c.valid_until > now() AS is_valid,
       a.coupon_id IS NOT NULL AND (a.allotted IS NULL OR a.used < a.allotted) AS is_left,
       EXISTS (SELECT 1 FROM coupon_usages u
                WHERE u.region = %(region)s::crdb_internal_region AND u.coupon_id = c.id
                  AND u.user_id = %(user_id)s::UUID) AS is_used
  FROM coupons c
  LEFT JOIN coupon_allotments a ON a.coupon_id = c.id AND a.region = %(region)s::crdb_internal_region
 WHERE c.code = %(code)s::TEXT

-- name: delete_cart
-- Remove a cart; its lines go with it.  No row when somebody was faster.
-- params: region text, cart_id uuid
DELETE FROM shopping_carts
 WHERE region = %(region)s::crdb_internal_region AND id = %(cart_id)s::UUID
RETURNING id
