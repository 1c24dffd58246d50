-- Orders that are taken back: cancelled before they ship, refunded after they have arrived.

-- name: latest_orders
-- A region's latest orders of a status, for a shopper to have second thoughts about.
-- params: region text, status text, count bigint
SELECT id
  FROM orders
 WHERE status = %(status)s::TEXT AND region = %(region)s::crdb_internal_region
 ORDER BY created_at DESC
 LIMIT %(count)s::BIGINT

-- name: cancel_order
-- Cancel what has not shipped, and pay back what was paid; no row when it is too late or done already.
-- params: region text, order_id uuid
UPDATE orders
   SET status = 'cancelled', updated_at = now(),
       payment_status = CASE payment_status WHEN 'paid' THEN 'refunded' ELSE payment_status END
 WHERE region = %(region)s::crdb_internal_region AND id = %(order_id)s::UUID
   AND status IN ('pending', 'confirmed', 'processing') AND fulfillment_status = 'unfulfilled'
RETURNING id

-- name: refund_order
-- Pay back what came back; no row when it has not arrived or is paid back already.
-- params: region text, order_id uuid
UPDATE orders
   SET status = 'refunded', payment_status = 'refunded', updated_at = now()
 WHERE region = %(region)s::crdb_internal_region AND id = %(order_id)s::UUID AND status = 'delivered'
RETURNING id

-- name: order_state
-- What has become of an order, once an answer got lost.
-- params: region text, order_id uuid
SELECT status FROM orders WHERE region = %(region)s::crdb_internal_region AND id = %(order_id)s::UUID

-- name: delete_coupon_usages
-- A cancelled order gives back the use of its coupon.
-- params: region text, order_id uuid
DELETE FROM coupon_usages
 WHERE region = %(region)s::crdb_internal_region AND order_id = %(order_id)s::UUID
RETURNING coupon_id
