-- Before and after the sale.

-- name: sale_stock
-- The inventory rows of an item, a few per region.
-- params: product_id uuid, variant_key uuid
SELECT region::TEXT, id, quantity_available
  FROM inventory
 WHERE product_id = %(product_id)s::UUID AND variant_key = %(variant_key)s::UUID
 ORDER BY region, warehouse_id

-- name: set_sale_stock
-- Set what is on sale.
-- params: region text, inventory_id uuid, units bigint
UPDATE inventory
   SET quantity_available = %(units)s::BIGINT, version = version + 1, last_updated = now()
 WHERE region = %(region)s::crdb_internal_region AND id = %(inventory_id)s::UUID

-- name: insert_adjustment
-- The movement that explains it.
-- params: region text, inventory_id uuid, quantity bigint, reason text
INSERT INTO inventory_movements (region, inventory_id, movement_type, quantity, reference_type, reason)
VALUES (%(region)s::crdb_internal_region, %(inventory_id)s::UUID, 'adjustment', %(quantity)s::BIGINT, 'adjustment',
        %(reason)s)

-- name: sold_since
-- Units of an item that live orders took from each region's warehouses since the sale was prepared.
-- params: product_id uuid, variant_key uuid, since timestamptz
SELECT w.region::TEXT, sum(oi.quantity)::BIGINT
  FROM order_items oi
  JOIN orders o ON o.region = oi.region AND o.id = oi.order_id
  JOIN warehouses w ON w.id = oi.warehouse_id
 WHERE oi.product_id = %(product_id)s::UUID
   AND COALESCE(oi.variant_id, '00000000-0000-0000-0000-000000000000'::UUID) = %(variant_key)s::UUID
   AND o.created_at >= %(since)s::TIMESTAMPTZ AND o.status NOT IN ('cancelled', 'refunded')
 GROUP BY w.region

-- name: server_time
-- The server's clock, against which the run's orders are dated.
SELECT clock_timestamp()
