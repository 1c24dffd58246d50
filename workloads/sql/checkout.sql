-- From cart to order, in one transaction.

-- name: reserve_guarded
-- Reserve units in one statement: a row when there were enough, none when not.
-- params: region text, product_id uuid, variant_key uuid, quantity bigint
UPDATE inventory
   SET quantity_available = quantity_available - %(quantity)s::BIGINT,
       quantity_reserved = quantity_reserved + %(quantity)s::BIGINT,
       version = version + 1, last_updated = now()
 WHERE region = %(region)s::crdb_internal_region
   AND id = (SELECT i.id FROM inventory i
              WHERE i.region = %(region)s::crdb_internal_region AND i.product_id = %(product_id)s::UUID
                AND i.variant_key = %(variant_key)s::UUID AND i.quantity_available >= %(quantity)s::BIGINT
              ORDER BY i.warehouse_id LIMIT 1)
   AND quantity_available >= %(quantity)s::BIGINT
RETURNING id, warehouse_id

-- name: find_stock
-- The regions that still have enough of an item, to ask them next.
-- params: product_id uuid, variant_key uuid, quantity bigint
SELECT DISTINCT region::TEXT
  FROM inventory
 WHERE product_id = %(product_id)s::UUID AND variant_key = %(variant_key)s::UUID
   AND quantity_available >= %(quantity)s::BIGINT

-- name: lock_stock
-- The pessimistic strategy's read: the row is ours until the transaction ends.
-- params: region text, product_id uuid, variant_key uuid
SELECT id, warehouse_id, quantity_available
  FROM inventory
 WHERE region = %(region)s::crdb_internal_region AND product_id = %(product_id)s::UUID
   AND variant_key = %(variant_key)s::UUID
 ORDER BY warehouse_id
   FOR UPDATE

-- name: take_stock
-- The pessimistic strategy's write: unconditional, because the row is locked.
-- params: region text, inventory_id uuid, quantity bigint
UPDATE inventory
   SET quantity_available = quantity_available - %(quantity)s::BIGINT,
       quantity_reserved = quantity_reserved + %(quantity)s::BIGINT,
       version = version + 1, last_updated = now()
 WHERE region = %(region)s::crdb_internal_region AND id = %(inventory_id)s::UUID

-- name: read_stock
-- The optimistic and the naive strategy's read: no lock, the version as it is.
-- params: region text, product_id uuid, variant_key uuid
SELECT id, warehouse_id, quantity_available, version
  FROM inventory
 WHERE region = %(region)s::crdb_internal_region AND product_id = %(product_id)s::UUID
   AND variant_key = %(variant_key)s::UUID
 ORDER BY warehouse_id

-- name: take_stock_if_unchanged
-- The optimistic strategy's write: no row when somebody was faster.
-- params: region text, inventory_id uuid, quantity bigint, version bigint
UPDATE inventory
   SET quantity_available = quantity_available - %(quantity)s::BIGINT,
       quantity_reserved = quantity_reserved + %(quantity)s::BIGINT,
       version = version + 1, last_updated = now()
 WHERE region = %(region)s::crdb_internal_region AND id = %(inventory_id)s::UUID AND version = %(version)s::BIGINT
RETURNING id

-- name: overwrite_stock
-- The naive strategy's write: the client's arithmetic on what it read. Wrong on purpose: the audit must catch it.
-- params: region text, inventory_id uuid, quantity bigint, available bigint
UPDATE inventory
   SET quantity_available = %(available)s::BIGINT - %(quantity)s::BIGINT,
       quantity_reserved = quantity_reserved + %(quantity)s::BIGINT,
       version = version + 1, last_updated = now()
 WHERE region = %(region)s::crdb_internal_region AND id = %(inventory_id)s::UUID

-- name: use_coupon
-- Take one use from the region's allotment: a row when there was one left.
-- params: region text, coupon_id uuid, user_id uuid
UPDATE coupon_allotments
   SET used = used + 1
 WHERE region = %(region)s::crdb_internal_region AND coupon_id = %(coupon_id)s::UUID
   AND (allotted IS NULL OR used < allotted)
   AND NOT EXISTS (SELECT 1 FROM coupon_usages u
                    WHERE u.region = %(region)s::crdb_internal_region AND u.coupon_id = %(coupon_id)s::UUID
                      AND u.user_id = %(user_id)s::UUID)
   AND EXISTS (SELECT 1 FROM coupons c
                WHERE c.id = %(coupon_id)s::UUID AND c.is_active AND c.valid_from <= now() AND c.valid_until > now())
RETURNING used

-- name: insert_order
-- The order; no row when this idempotency key has already bought.
-- params: region text, key uuid, user_id uuid, subtotal numeric, tax numeric, shipping numeric, discount numeric, total numeric, address jsonb
INSERT INTO orders (region, order_number, idempotency_key, user_id, status, subtotal, tax_amount, shipping_amount,
                    discount_amount, total_amount, shipping_address, billing_address, payment_status)
VALUES (%(region)s::crdb_internal_region, generate_order_number(%(region)s::TEXT), %(key)s::UUID, %(user_id)s::UUID,
        'pending', %(subtotal)s::DECIMAL, %(tax)s::DECIMAL, %(shipping)s::DECIMAL, %(discount)s::DECIMAL,
        %(total)s::DECIMAL, %(address)s::JSONB, %(address)s::JSONB, 'pending')
    ON CONFLICT DO NOTHING
RETURNING id, order_number

-- name: find_order
-- The order of an idempotency key, once an answer got lost.
-- params: region text, key uuid
SELECT id, order_number, total_amount, status
  FROM orders
 WHERE region = %(region)s::crdb_internal_region AND idempotency_key = %(key)s::UUID

-- name: find_order_lines
-- The lines of that order, with the region that each was taken from.
-- params: region text, order_id uuid
SELECT oi.product_id, oi.variant_id, w.region::TEXT, oi.quantity
  FROM order_items oi
  JOIN warehouses w ON w.id = oi.warehouse_id
 WHERE oi.region = %(region)s::crdb_internal_region AND oi.order_id = %(order_id)s::UUID
 ORDER BY oi.product_id, oi.variant_id

-- name: insert_order_items
-- The order's lines in one statement.
-- params: region text, order_id uuid, products uuid[], variants uuid[], warehouses uuid[], quantities bigint[], prices numeric[], snapshots text[]
INSERT INTO order_items (region, order_id, product_id, variant_id, warehouse_id, quantity, unit_price, total_price,
                         product_snapshot)
SELECT %(region)s::crdb_internal_region, %(order_id)s::UUID, t.product_id, t.variant_id, t.warehouse_id, t.quantity,
       t.price, t.price * t.quantity, t.snapshot::JSONB
  FROM unnest(%(products)s::UUID[], %(variants)s::UUID[], %(warehouses)s::UUID[], %(quantities)s::BIGINT[],
              %(prices)s::DECIMAL[], %(snapshots)s::TEXT[])
       AS t (product_id, variant_id, warehouse_id, quantity, price, snapshot)

-- name: insert_reservations
-- The movement of each reserved line, in the region of its warehouse.
-- params: regions text[], inventory uuid[], quantities bigint[], order_region text, order_id uuid, type text
INSERT INTO inventory_movements (region, inventory_id, movement_type, quantity, reference_type, reference_region,
                                 reference_id, created_by_region, created_by)
SELECT t.region::crdb_internal_region, t.inventory_id, %(type)s::TEXT, t.quantity, 'order',
       %(order_region)s::crdb_internal_region, %(order_id)s::UUID, NULL, NULL
  FROM unnest(%(regions)s::TEXT[], %(inventory)s::UUID[], %(quantities)s::BIGINT[])
       AS t (region, inventory_id, quantity)

-- name: insert_coupon_usage
-- Who used which coupon on which order; no row when the user has used it meanwhile on another order.
-- params: region text, coupon_id uuid, order_id uuid, user_id uuid, discount numeric
INSERT INTO coupon_usages (region, coupon_id, order_id, user_id, discount_amount)
VALUES (%(region)s::crdb_internal_region, %(coupon_id)s::UUID, %(order_id)s::UUID, %(user_id)s::UUID,
        %(discount)s::DECIMAL)
    ON CONFLICT DO NOTHING
RETURNING id

-- name: delete_coupon_usage
-- The order's use of a coupon is given back, when the payment was declined.
-- params: region text, coupon_id uuid, order_id uuid
DELETE FROM coupon_usages
 WHERE region = %(region)s::crdb_internal_region AND coupon_id = %(coupon_id)s::UUID AND order_id = %(order_id)s::UUID

-- name: return_coupon
-- And so is its place in the region's allotment.
-- params: region text, coupon_id uuid
UPDATE coupon_allotments
   SET used = used - 1
 WHERE region = %(region)s::crdb_internal_region AND coupon_id = %(coupon_id)s::UUID

-- name: confirm_payment
-- The payment's outcome on the order.
-- params: region text, order_id uuid, status text, payment text
UPDATE orders
   SET status = %(status)s::TEXT, payment_status = %(payment)s::TEXT, updated_at = now()
 WHERE region = %(region)s::crdb_internal_region AND id = %(order_id)s::UUID

-- name: release_stock
-- Put reserved units back, when the payment was declined.
-- params: region text, inventory_id uuid, quantity bigint
UPDATE inventory
   SET quantity_available = quantity_available + %(quantity)s::BIGINT,
       quantity_reserved = quantity_reserved - %(quantity)s::BIGINT,
       version = version + 1, last_updated = now()
 WHERE region = %(region)s::crdb_internal_region AND id = %(inventory_id)s::UUID
