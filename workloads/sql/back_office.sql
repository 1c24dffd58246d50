-- The jobs behind the shop.  Work is taken in batches that others skip while they are held, so that workers do not queue.

-- name: orders_to_advance
-- The oldest orders of a status that no other worker holds.
-- params: region text, status text, count bigint
SELECT id
  FROM orders
 WHERE status = %(status)s::TEXT AND region = %(region)s::crdb_internal_region
 ORDER BY created_at
 LIMIT %(count)s::BIGINT
   FOR UPDATE SKIP LOCKED

-- name: advance_orders
-- Their next status; those that are no longer of the status before stay as they are.
-- params: region text, ids uuid[], before text, after text, fulfillment text
UPDATE orders
   SET status = %(after)s::TEXT, fulfillment_status = %(fulfillment)s::TEXT, updated_at = now()
 WHERE region = %(region)s::crdb_internal_region AND id = ANY(%(ids)s::UUID[]) AND status = %(before)s::TEXT
RETURNING id

-- name: lock_stock_of_orders
-- The inventory row behind each line of some orders, locked in the order in which checkouts lock them: by item.
-- params: region text, ids uuid[]
SELECT i.region::TEXT, i.id, oi.quantity, oi.region::TEXT, oi.order_id
  FROM order_items oi
  JOIN warehouses w ON w.id = oi.warehouse_id
  JOIN inventory i ON i.region = w.region AND i.warehouse_id = w.id AND i.product_id = oi.product_id
                  AND i.variant_key = COALESCE(oi.variant_id, '00000000-0000-0000-0000-000000000000'::UUID)
 WHERE oi.region = %(region)s::crdb_internal_region AND oi.order_id = ANY(%(ids)s::UUID[])
 ORDER BY i.product_id, i.variant_key, i.id
   FOR UPDATE OF i

-- name: shift_stock
-- Change the quantities of inventory rows, each named once.
-- params: regions text[], inventory uuid[], available bigint[], reserved bigint[], incoming bigint[]
UPDATE inventory i
   SET quantity_available = i.quantity_available + t.available,
       quantity_reserved = i.quantity_reserved + t.reserved,
       quantity_incoming = i.quantity_incoming + t.incoming,
       version = i.version + 1, last_updated = now()
  FROM unnest(%(regions)s::TEXT[], %(inventory)s::UUID[], %(available)s::BIGINT[], %(reserved)s::BIGINT[],
              %(incoming)s::BIGINT[]) AS t (region, inventory_id, available, reserved, incoming)
 WHERE i.region = t.region::crdb_internal_region AND i.id = t.inventory_id

-- name: insert_movements
-- The movements that explain it, each with what it stands for.
-- params: regions text[], inventory uuid[], quantities bigint[], reference_regions text[], references uuid[], type text, reference_type text, reason text
INSERT INTO inventory_movements (region, inventory_id, movement_type, quantity, reference_type, reference_region,
                                 reference_id, reason)
SELECT t.region::crdb_internal_region, t.inventory_id, %(type)s::TEXT, t.quantity, %(reference_type)s::TEXT,
       t.reference_region::crdb_internal_region, t.reference_id, %(reason)s::TEXT
  FROM unnest(%(regions)s::TEXT[], %(inventory)s::UUID[], %(quantities)s::BIGINT[], %(reference_regions)s::TEXT[],
              %(references)s::UUID[]) AS t (region, inventory_id, quantity, reference_region, reference_id)

-- name: movements_of_reference
-- Whether anything was moved for a reference, once an answer got lost.
-- params: reference uuid
SELECT count(*) FROM inventory_movements WHERE reference_id = %(reference)s::UUID

-- name: goods_to_receive
-- Rows that run low and whose goods are on the way, the lowest first.
-- params: region text, count bigint
SELECT id, quantity_incoming
  FROM inventory
 WHERE quantity_available <= reorder_point AND region = %(region)s::crdb_internal_region AND quantity_incoming > 0
 ORDER BY quantity_available
 LIMIT %(count)s::BIGINT
   FOR UPDATE SKIP LOCKED

-- name: goods_to_order
-- Rows that run low and for which nothing is on the way, the lowest first; bins of a sale are not ordered for.
-- params: region text, count bigint
SELECT i.id, i.reorder_quantity
  FROM inventory i
  JOIN warehouses w ON w.id = i.warehouse_id
 WHERE i.quantity_available <= i.reorder_point AND i.region = %(region)s::crdb_internal_region
   AND i.quantity_incoming = 0 AND i.reorder_quantity > 0 AND strpos(w.code, '/') = 0
 ORDER BY i.quantity_available
 LIMIT %(count)s::BIGINT
   FOR UPDATE OF i SKIP LOCKED

-- name: price_of_item
-- The product's price and the variant's own, which stands above it.
-- params: product_id uuid, variant_id uuid
SELECT p.price, v.price
  FROM products p
  LEFT JOIN product_variants v ON v.id = %(variant_id)s::UUID
 WHERE p.id = %(product_id)s::UUID

-- name: set_product_price
-- A product's new price.
-- params: product_id uuid, price numeric
UPDATE products SET price = %(price)s::DECIMAL, updated_at = now() WHERE id = %(product_id)s::UUID

-- name: set_variant_price
-- A variant's new price.
-- params: variant_id uuid, price numeric
UPDATE product_variants SET price = %(price)s::DECIMAL WHERE id = %(variant_id)s::UUID

-- name: stale_cart_items
-- Lines from a key on whose price is older than so many seconds.
-- params: region text, after uuid, age bigint, count bigint
SELECT id
  FROM cart_items
 WHERE region = %(region)s::crdb_internal_region AND id > %(after)s::UUID
   AND price_updated_at < now() - %(age)s::BIGINT * INTERVAL '1 second'
 ORDER BY id
 LIMIT %(count)s::BIGINT
   FOR UPDATE SKIP LOCKED

-- name: refresh_product_prices
-- The price of now in lines without a variant.
-- params: region text, ids uuid[]
UPDATE cart_items ci
   SET unit_price = p.price, price_updated_at = now()
  FROM products p
 WHERE ci.region = %(region)s::crdb_internal_region AND ci.id = ANY(%(ids)s::UUID[])
   AND ci.variant_id IS NULL AND p.id = ci.product_id

-- name: refresh_variant_prices
-- The price of now in lines with a variant, whose own price stands above the product's.
-- params: region text, ids uuid[]
UPDATE cart_items ci
   SET unit_price = COALESCE(v.price, p.price), price_updated_at = now()
  FROM products p, product_variants v
 WHERE ci.region = %(region)s::crdb_internal_region AND ci.id = ANY(%(ids)s::UUID[])
   AND v.id = ci.variant_id AND p.id = ci.product_id

-- name: expired_carts
-- The carts that expired longest ago and that no other worker holds.
-- params: region text, count bigint
SELECT id
  FROM shopping_carts
 WHERE region = %(region)s::crdb_internal_region AND expires_at < now()
 ORDER BY expires_at
 LIMIT %(count)s::BIGINT
   FOR UPDATE SKIP LOCKED

-- name: lock_stock_of_carts
-- The inventory row behind each line of some carts that holds stock, locked by item.
-- params: region text, ids uuid[]
SELECT i.region::TEXT, i.id, ci.quantity, ci.region::TEXT, ci.cart_id
  FROM cart_items ci
  JOIN warehouses w ON w.id = ci.warehouse_id
  JOIN inventory i ON i.region = w.region AND i.warehouse_id = w.id AND i.product_id = ci.product_id
                  AND i.variant_key = ci.variant_key
 WHERE ci.region = %(region)s::crdb_internal_region AND ci.cart_id = ANY(%(ids)s::UUID[]) AND ci.reserved
 ORDER BY i.product_id, i.variant_key, i.id
   FOR UPDATE OF i

-- name: delete_carts
-- Remove carts; their lines go with them.
-- params: region text, ids uuid[]
DELETE FROM shopping_carts
 WHERE region = %(region)s::crdb_internal_region AND id = ANY(%(ids)s::UUID[])

-- name: reviews_to_moderate
-- The oldest reviews that wait for approval and that no other worker holds.
-- params: region text, count bigint
SELECT id
  FROM product_reviews
 WHERE region = %(region)s::crdb_internal_region AND NOT is_approved
 ORDER BY created_at
 LIMIT %(count)s::BIGINT
   FOR UPDATE SKIP LOCKED

-- name: approve_reviews
-- Let them be read.
-- params: region text, ids uuid[]
UPDATE product_reviews
   SET is_approved = true, updated_at = now()
 WHERE region = %(region)s::crdb_internal_region AND id = ANY(%(ids)s::UUID[])
