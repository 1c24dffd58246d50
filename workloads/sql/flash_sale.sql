-- Before and after the sale.

-- name: sale_stock
-- The inventory rows of an item: a few per region, the ordinary warehouses first and then the bins.
-- params: product_id uuid, variant_key uuid
SELECT i.region::TEXT, i.id, i.quantity_available, w.id, w.code
  FROM inventory i
  JOIN warehouses w ON w.id = i.warehouse_id
 WHERE i.product_id = %(product_id)s::UUID AND i.variant_key = %(variant_key)s::UUID
 ORDER BY i.region::TEXT, strpos(w.code, '/') > 0, w.code

-- name: set_sale_stock
-- Set what is on sale.
-- params: regions text[], inventory uuid[], units bigint[]
UPDATE inventory i
   SET quantity_available = t.units, version = i.version + 1, last_updated = now()
  FROM unnest(%(regions)s::TEXT[], %(inventory)s::UUID[], %(units)s::BIGINT[]) AS t (region, inventory_id, units)
 WHERE i.region = t.region::crdb_internal_region AND i.id = t.inventory_id

-- name: insert_adjustments
-- The movements that explain it.
-- params: regions text[], inventory uuid[], quantities bigint[], reason text
INSERT INTO inventory_movements (region, inventory_id, movement_type, quantity, reference_type, reason)
SELECT t.region::crdb_internal_region, t.inventory_id, 'adjustment', t.quantity, 'adjustment', %(reason)s::TEXT
  FROM unnest(%(regions)s::TEXT[], %(inventory)s::UUID[], %(quantities)s::BIGINT[])
       AS t (region, inventory_id, quantity)

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

-- name: added_since
-- Units of an item that came to each region's shelves since the sale was prepared, less those that left them, other than by
-- orders placed since: deliveries, what older orders gave back, what carts hold.
-- params: product_id uuid, variant_key uuid, since timestamptz
SELECT i.region::TEXT, sum(CASE m.movement_type WHEN 'reserved' THEN -m.quantity ELSE m.quantity END)::BIGINT
  FROM inventory i
  JOIN inventory_movements m ON m.region = i.region AND m.inventory_id = i.id
  LEFT JOIN orders o ON o.region = m.reference_region AND o.id = m.reference_id
                    AND m.reference_type IN ('order', 'return')
 WHERE i.product_id = %(product_id)s::UUID AND i.variant_key = %(variant_key)s::UUID
   AND m.created_at >= %(since)s::TIMESTAMPTZ AND m.movement_type IN ('in', 'reserved', 'released')
   AND (o.id IS NULL OR o.created_at < %(since)s::TIMESTAMPTZ)
 GROUP BY i.region

-- name: server_time
-- The server's clock, against which the run's orders are dated.
SELECT clock_timestamp()
