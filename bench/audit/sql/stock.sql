-- Rules of the stock.  A row is a place where the rule does not hold; the first column counts them all.
-- A live order is one that is neither cancelled nor refunded; the zero UUID stands for "no variant", as in variant_key.

-- name: audit_stock_movements
-- Each inventory row against the sum of its movements: a lost update shows up here.
WITH moved AS (
  SELECT region, inventory_id,
         sum(CASE movement_type WHEN 'reserved' THEN -quantity WHEN 'out' THEN 0 ELSE quantity END)::BIGINT AS available,
         sum(CASE movement_type WHEN 'reserved' THEN quantity WHEN 'released' THEN -quantity
                                WHEN 'out' THEN -quantity ELSE 0 END)::BIGINT AS reserved
    FROM inventory_movements
   GROUP BY region, inventory_id
)
SELECT count(*) OVER () AS violations, i.region::TEXT AS region, i.id AS inventory_id, i.product_id, i.variant_id,
       i.quantity_available, COALESCE(m.available, 0) AS available_by_movements,
       i.quantity_reserved, COALESCE(m.reserved, 0) AS reserved_by_movements
  FROM inventory i
  LEFT JOIN moved m ON m.region = i.region AND m.inventory_id = i.id
 WHERE i.quantity_available <> COALESCE(m.available, 0) OR i.quantity_reserved <> COALESCE(m.reserved, 0)
 ORDER BY abs(i.quantity_available - COALESCE(m.available, 0)) DESC, i.id
 LIMIT 3;

-- name: audit_stock_negative
-- Quantities below zero, which only a dropped CHECK lets in.
SELECT count(*) OVER () AS violations, region::TEXT AS region, id AS inventory_id, product_id, variant_id,
       quantity_available, quantity_reserved, quantity_incoming
  FROM inventory
 WHERE quantity_available < 0 OR quantity_reserved < 0 OR quantity_incoming < 0
 ORDER BY id
 LIMIT 3;

-- name: audit_oversold
-- Units claimed by live orders and reserved cart lines beyond the units ever stocked.  Counted in units; the rows are the
-- latest claims on the most oversold item, as many as it takes to cover what is beyond the stock.
WITH claims AS NOT MATERIALIZED (
  SELECT oi.warehouse_id, oi.product_id, COALESCE(oi.variant_id, '00000000-0000-0000-0000-000000000000'::UUID) AS variant_key,
         'order' AS claim, o.region, o.id, o.order_number, o.created_at, oi.quantity
    FROM order_items oi
    JOIN orders o ON o.region = oi.region AND o.id = oi.order_id
   WHERE o.status NOT IN ('cancelled', 'refunded') AND oi.warehouse_id IS NOT NULL
   UNION ALL
  SELECT warehouse_id, product_id, variant_key, 'cart', region, cart_id, NULL, added_at, quantity
    FROM cart_items
   WHERE reserved
), claimed AS (
  SELECT warehouse_id, product_id, variant_key, sum(quantity)::BIGINT AS units
    FROM claims
   GROUP BY warehouse_id, product_id, variant_key
), arrived AS (
  SELECT region, inventory_id, sum(quantity) AS units
    FROM inventory_movements
   WHERE movement_type = 'adjustment' OR (movement_type = 'in' AND COALESCE(reference_type, '') <> 'return')
   GROUP BY region, inventory_id
), stocked AS (
  SELECT i.warehouse_id, i.product_id, i.variant_key, sum(a.units)::BIGINT AS units
    FROM inventory i
    JOIN arrived a ON a.region = i.region AND a.inventory_id = i.id
   GROUP BY i.warehouse_id, i.product_id, i.variant_key
), excess AS (
  SELECT c.warehouse_id, c.product_id, c.variant_key, c.units AS claimed, COALESCE(s.units, 0) AS stocked,
         c.units - COALESCE(s.units, 0) AS beyond
    FROM claimed c
    LEFT JOIN stocked s ON s.warehouse_id = c.warehouse_id AND s.product_id = c.product_id
                       AND s.variant_key = c.variant_key
   WHERE c.units > COALESCE(s.units, 0)
), worst AS (
  SELECT warehouse_id, product_id, variant_key, claimed, stocked, beyond
    FROM excess
   ORDER BY beyond DESC, product_id, variant_key, warehouse_id
   LIMIT 1
), latest AS (
  SELECT c.claim, c.region, c.id, c.order_number, c.created_at, c.quantity,
         sum(c.quantity) OVER (ORDER BY c.created_at DESC, c.id DESC ROWS UNBOUNDED PRECEDING) - c.quantity AS later
    FROM claims c
    JOIN worst w ON w.warehouse_id = c.warehouse_id AND w.product_id = c.product_id AND w.variant_key = c.variant_key
)
SELECT (SELECT sum(beyond)::BIGINT FROM excess) AS violations, (SELECT count(*) FROM excess) AS items,
       count(*) OVER () AS claims, w.warehouse_id, w.product_id, w.variant_key, w.stocked, w.claimed, w.beyond,
       l.claim, l.region::TEXT AS region, l.id AS order_id, l.order_number, l.created_at, l.quantity
  FROM worst w
 CROSS JOIN latest l
 WHERE l.later < w.beyond
 ORDER BY l.created_at DESC, l.id DESC
 LIMIT 20;

-- name: audit_orders_movements
-- Per item and warehouse: units of live order lines against what the movements of orders and returns took.
WITH sold AS (
  SELECT oi.warehouse_id, oi.product_id, COALESCE(oi.variant_id, '00000000-0000-0000-0000-000000000000'::UUID) AS variant_key,
         sum(oi.quantity)::BIGINT AS units
    FROM order_items oi
    JOIN orders o ON o.region = oi.region AND o.id = oi.order_id
   WHERE o.status NOT IN ('cancelled', 'refunded') AND oi.warehouse_id IS NOT NULL
   GROUP BY 1, 2, 3
), moved AS (
  SELECT region, inventory_id,
         sum(CASE WHEN movement_type = 'reserved' THEN quantity
                  WHEN movement_type = 'released' THEN -quantity
                  WHEN movement_type = 'in' AND reference_type = 'return' THEN -quantity
                  ELSE 0 END) AS units
    FROM inventory_movements
   WHERE reference_type IN ('order', 'return')
   GROUP BY region, inventory_id
), taken AS (
  SELECT i.warehouse_id, i.product_id, i.variant_key, sum(m.units)::BIGINT AS units
    FROM inventory i
    JOIN moved m ON m.region = i.region AND m.inventory_id = i.id
   GROUP BY i.warehouse_id, i.product_id, i.variant_key
)
SELECT count(*) OVER () AS violations, COALESCE(s.warehouse_id, t.warehouse_id) AS warehouse_id,
       COALESCE(s.product_id, t.product_id) AS product_id, COALESCE(s.variant_key, t.variant_key) AS variant_key,
       COALESCE(s.units, 0) AS units_in_orders, COALESCE(t.units, 0) AS units_by_movements
  FROM sold s
  FULL JOIN taken t ON t.warehouse_id = s.warehouse_id AND t.product_id = s.product_id AND t.variant_key = s.variant_key
 WHERE COALESCE(s.units, 0) <> COALESCE(t.units, 0)
 ORDER BY abs(COALESCE(s.units, 0) - COALESCE(t.units, 0)) DESC, 3, 4, 2
 LIMIT 3;

-- name: audit_reservations
-- Reserved units against the live orders not yet shipped and the reserved cart lines that they stand for.
WITH claims AS (
  SELECT oi.warehouse_id, oi.product_id, COALESCE(oi.variant_id, '00000000-0000-0000-0000-000000000000'::UUID) AS variant_key,
         oi.quantity AS in_orders, 0::BIGINT AS in_carts
    FROM order_items oi
    JOIN orders o ON o.region = oi.region AND o.id = oi.order_id
   WHERE o.status NOT IN ('cancelled', 'refunded') AND o.fulfillment_status <> 'fulfilled'
     AND oi.warehouse_id IS NOT NULL
   UNION ALL
  SELECT warehouse_id, product_id, variant_key, 0::BIGINT, quantity
    FROM cart_items
   WHERE reserved
), held AS (
  SELECT warehouse_id, product_id, variant_key, sum(in_orders)::BIGINT AS in_orders, sum(in_carts)::BIGINT AS in_carts
    FROM claims
   GROUP BY warehouse_id, product_id, variant_key
)
SELECT count(*) OVER () AS violations, i.region::TEXT AS region, i.id AS inventory_id,
       COALESCE(i.warehouse_id, c.warehouse_id) AS warehouse_id, COALESCE(i.product_id, c.product_id) AS product_id,
       COALESCE(i.variant_key, c.variant_key) AS variant_key, COALESCE(i.quantity_reserved, 0) AS quantity_reserved,
       COALESCE(c.in_orders, 0) AS units_in_orders, COALESCE(c.in_carts, 0) AS units_in_carts
  FROM inventory i
  FULL JOIN held c ON c.warehouse_id = i.warehouse_id AND c.product_id = i.product_id AND c.variant_key = i.variant_key
 WHERE COALESCE(i.quantity_reserved, 0) <> COALESCE(c.in_orders, 0) + COALESCE(c.in_carts, 0)
 ORDER BY 5, 6, 4
 LIMIT 3;
