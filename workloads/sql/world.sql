-- Read once before a run: who shops, and for what.

-- name: world_users
-- A region's active users, each with a default address and what they log in with.
-- params: region text, count bigint
SELECT u.id, a.street_address, a.city, a.postal_code, a.country, u.first_name || ' ' || u.last_name, u.email, u.username,
       u.password_hash
  FROM users u
  JOIN user_addresses a ON a.region = u.region AND a.user_id = u.id AND a.is_default AND a.address_type = 'shipping'
 WHERE u.region = %(region)s::crdb_internal_region AND u.status = 'active'
 ORDER BY u.id
 LIMIT %(count)s::BIGINT

-- name: world_items
-- What can be bought, by popularity: each product with its first active variant, if it has variants.
-- params: count bigint
SELECT p.id, v.id, p.sku, p.name, p.slug, p.category_id, p.brand, p.tags[1]
  FROM products p
  LEFT JOIN product_performance f ON f.product_id = p.id
  LEFT JOIN product_variants v ON v.product_id = p.id AND v.is_active AND v.sort_order = (
            SELECT min(w.sort_order) FROM product_variants w WHERE w.product_id = p.id AND w.is_active)
 WHERE p.status = 'active'
 ORDER BY f.times_ordered DESC NULLS LAST, p.id
 LIMIT %(count)s::BIGINT

-- name: world_stock_places
-- Every warehouse with its region, the places that stock is taken from.
SELECT region::TEXT, id, code FROM warehouses WHERE is_active ORDER BY region, code

-- name: world_coupons
-- Coupons that a region may still redeem.
-- params: region text
SELECT c.id, c.code, c.type, c.value, c.minimum_amount, c.maximum_discount
  FROM coupons c
  JOIN coupon_allotments a ON a.coupon_id = c.id AND a.region = %(region)s::crdb_internal_region
 WHERE c.is_active AND c.valid_from <= now() AND c.valid_until > now()
   AND (a.allotted IS NULL OR a.used < a.allotted)
 ORDER BY c.code
 LIMIT 200

-- name: world_coupon_codes
-- Codes that are in circulation, also those that have run out or expired.
SELECT code FROM coupons ORDER BY code LIMIT 200

-- name: world_category_slugs
-- Where category pages are found.
SELECT id, slug FROM categories WHERE is_active ORDER BY slug LIMIT 1000

-- name: world_search_words
-- Words that full-text search finds something for.
SELECT DISTINCT lower(split_part(name, ' ', 2)) FROM products WHERE status = 'active' ORDER BY 1 LIMIT 500
