-- What a finding offers to run: the rows behind its first witness.

-- name: look_stock_movements
-- An inventory row and every movement of it.
-- params: region text, inventory_id uuid
SELECT i.quantity_available, i.quantity_reserved, i.version, m.movement_type, m.quantity, m.reference_type,
       m.reference_region, m.reference_id, m.created_at
  FROM inventory i
  LEFT JOIN inventory_movements m ON m.region = i.region AND m.inventory_id = i.id
 WHERE i.region = %(region)s::crdb_internal_region AND i.id = %(inventory_id)s::UUID
 ORDER BY m.created_at;

-- name: look_stock_negative
-- An inventory row.
-- params: region text, inventory_id uuid
SELECT region, id, product_id, variant_id, warehouse_id, quantity_available, quantity_reserved, quantity_incoming
  FROM inventory
 WHERE region = %(region)s::crdb_internal_region AND id = %(inventory_id)s::UUID;

-- name: look_item_orders
-- The live orders of an item from a warehouse, latest first.
-- params: warehouse_id uuid, product_id uuid, variant_key uuid
SELECT o.region, o.id, o.order_number, o.status, o.fulfillment_status, o.created_at, oi.quantity
  FROM order_items oi
  JOIN orders o ON o.region = oi.region AND o.id = oi.order_id
 WHERE oi.warehouse_id = %(warehouse_id)s::UUID AND oi.product_id = %(product_id)s::UUID
   AND COALESCE(oi.variant_id, '00000000-0000-0000-0000-000000000000'::UUID) = %(variant_key)s::UUID
   AND o.status NOT IN ('cancelled', 'refunded')
 ORDER BY o.created_at DESC;

-- name: look_item_movements
-- The movements of an item in a warehouse with the order that each stands for.
-- params: warehouse_id uuid, product_id uuid, variant_key uuid
SELECT m.movement_type, m.quantity, m.reference_type, m.reference_id, o.order_number, o.status, m.created_at
  FROM inventory i
  JOIN inventory_movements m ON m.region = i.region AND m.inventory_id = i.id
  LEFT JOIN orders o ON o.region = m.reference_region AND o.id = m.reference_id
 WHERE i.warehouse_id = %(warehouse_id)s::UUID AND i.product_id = %(product_id)s::UUID
   AND i.variant_key = %(variant_key)s::UUID AND m.reference_type IN ('order', 'return')
 ORDER BY m.created_at DESC;

-- name: look_order
-- An order and its lines.
-- params: region text, order_id uuid
SELECT o.order_number, o.status, o.payment_status, o.fulfillment_status, o.subtotal, o.discount_amount, o.tax_amount,
       o.shipping_amount, o.total_amount, oi.product_id, oi.variant_id, oi.quantity, oi.unit_price, oi.total_price
  FROM orders o
  LEFT JOIN order_items oi ON oi.region = o.region AND oi.order_id = o.id
 WHERE o.region = %(region)s::crdb_internal_region AND o.id = %(order_id)s::UUID;

-- name: look_order_number
-- The orders of one number.
-- params: order_number text
SELECT region, id, order_number, idempotency_key, user_id, created_at
  FROM orders
 WHERE order_number = %(order_number)s::TEXT;

-- name: look_idempotency_key
-- The orders of one idempotency key.
-- params: idempotency_key uuid
SELECT region, id, order_number, idempotency_key, user_id, status, total_amount, created_at
  FROM orders
 WHERE idempotency_key = %(idempotency_key)s::UUID;

-- name: look_account
-- The users of one e-mail address or user name.
-- params: value text
SELECT region, id, email, username, created_at
  FROM users
 WHERE email = %(value)s::TEXT OR username = %(value)s::TEXT;

-- name: look_coupon
-- A coupon's counters and usages by region.
-- params: coupon_id uuid
SELECT c.code, c.usage_limit, a.region, a.allotted, a.used,
       (SELECT count(*) FROM coupon_usages u WHERE u.region = a.region AND u.coupon_id = a.coupon_id) AS usages
  FROM coupons c
  LEFT JOIN coupon_allotments a ON a.coupon_id = c.id
 WHERE c.id = %(coupon_id)s::UUID;

-- name: look_discount
-- An order's discount and its coupon usages.
-- params: region text, order_id uuid
SELECT o.order_number, o.status, o.discount_amount, u.coupon_id, u.discount_amount AS discount_by_usage, u.used_at
  FROM orders o
  LEFT JOIN coupon_usages u ON u.region = o.region AND u.order_id = o.id
 WHERE o.region = %(region)s::crdb_internal_region AND o.id = %(order_id)s::UUID;
