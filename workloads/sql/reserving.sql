-- The strategies that spread a hot item's stock over bins: rows of inventory in warehouses such as 'USE1/0007'.

-- name: add_bins
-- The first bins of a region, beside its first ordinary warehouse; those that are there already stay.
-- params: region text, bins bigint
INSERT INTO warehouses (region, code, name)
SELECT w.region, w.code || '/' || lpad(n::TEXT, 4, '0'), w.name || ', bin ' || n::TEXT
  FROM (SELECT region, code, name
          FROM warehouses
         WHERE region = %(region)s::crdb_internal_region AND strpos(code, '/') = 0
         ORDER BY code
         LIMIT 1) w
 CROSS JOIN generate_series(1, %(bins)s::BIGINT) AS g (n)
    ON CONFLICT DO NOTHING

-- name: add_bin_stock
-- An empty inventory row of an item in each of a region's bins.  It has the item's own reorder point, so that a sale writes to
-- idx_inventory_low_stock just as it does for an ordinary row.
-- params: region text, product_id uuid, variant_id uuid, variant_key uuid, bins bigint
INSERT INTO inventory (region, product_id, variant_id, warehouse_id, reorder_point)
SELECT w.region, %(product_id)s::UUID, %(variant_id)s::UUID, w.id,
       COALESCE((SELECT i.reorder_point
                   FROM inventory i
                   JOIN warehouses o ON o.id = i.warehouse_id
                  WHERE i.region = %(region)s::crdb_internal_region AND i.product_id = %(product_id)s::UUID
                    AND i.variant_key = %(variant_key)s::UUID AND strpos(o.code, '/') = 0
                  ORDER BY o.code
                  LIMIT 1), 10)
  FROM warehouses w
 WHERE w.region = %(region)s::crdb_internal_region AND strpos(w.code, '/') > 0
   AND NULLIF(split_part(w.code, '/', 2), '')::BIGINT <= %(bins)s::BIGINT
    ON CONFLICT DO NOTHING

-- name: take_from_bin
-- The strategy of buckets: one conditional UPDATE of one bin; no row when it has not enough.
-- params: region text, inventory_id uuid, quantity bigint
UPDATE inventory
   SET quantity_available = quantity_available - %(quantity)s::BIGINT,
       quantity_reserved = quantity_reserved + %(quantity)s::BIGINT,
       version = version + 1, last_updated = now()
 WHERE region = %(region)s::crdb_internal_region AND id = %(inventory_id)s::UUID
   AND quantity_available >= %(quantity)s::BIGINT
RETURNING id

-- name: stocked_bins
-- The rows of an item in a region that still show enough, to try them next.
-- params: region text, product_id uuid, variant_key uuid, quantity bigint
SELECT id
  FROM inventory
 WHERE region = %(region)s::crdb_internal_region AND product_id = %(product_id)s::UUID
   AND variant_key = %(variant_key)s::UUID AND quantity_available >= %(quantity)s::BIGINT

-- name: lock_free_bin
-- The strategy of skipping: any row with enough that nobody holds; none when all that have enough are held by others.
-- params: region text, product_id uuid, variant_key uuid, quantity bigint
SELECT id, warehouse_id
  FROM inventory
 WHERE region = %(region)s::crdb_internal_region AND product_id = %(product_id)s::UUID
   AND variant_key = %(variant_key)s::UUID AND quantity_available >= %(quantity)s::BIGINT
 LIMIT 1
   FOR UPDATE SKIP LOCKED
