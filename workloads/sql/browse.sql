-- Looking around.

-- name: list_categories
-- The category tree of the home page.
SELECT id, parent_id, name, slug FROM categories WHERE is_active ORDER BY sort_order, name LIMIT 200

-- name: top_sellers
-- Best sellers of the home page, from the materialized view.
SELECT f.product_id, f.name, f.total_quantity_sold, r.avg_rating
  FROM product_performance f
  LEFT JOIN product_ratings r ON r.product_id = f.product_id
 ORDER BY f.total_quantity_sold DESC, f.product_id
 LIMIT 12

-- name: category_page
-- One page of a category by price; the next page starts after the last (price, id) shown.
-- params: category_id uuid, after_price numeric, after_id uuid
SELECT id, name, slug, price, compare_price
  FROM products
 WHERE status = 'active' AND category_id = %(category_id)s::UUID
   AND (price, id) > (%(after_price)s::DECIMAL, %(after_id)s::UUID)
 ORDER BY price, id
 LIMIT 24

-- name: search_products
-- Full-text search, as a search box sends it.
-- params: words text
SELECT id, name, slug, price
  FROM products
 WHERE status = 'active' AND search_vector @@ plainto_tsquery('english', %(words)s)
 ORDER BY id
 LIMIT 24

-- name: product_page
-- A product with its rating.
-- params: product_id uuid
SELECT p.id, p.name, p.description, p.price, p.compare_price, p.dimensions, r.review_count, r.avg_rating
  FROM products p
  LEFT JOIN product_ratings r ON r.product_id = p.id
 WHERE p.id = %(product_id)s::UUID

-- name: product_variants_of
-- The variants that a product page offers.
-- params: product_id uuid
SELECT id, name, COALESCE(price, -1), attributes
  FROM product_variants
 WHERE product_id = %(product_id)s::UUID AND is_active
 ORDER BY sort_order

-- name: stock_of_item
-- What is left of an item, by region: the product page's "in stock" badge.
-- params: product_id uuid, variant_key uuid
SELECT region::TEXT, sum(quantity_available)::BIGINT
  FROM inventory
 WHERE product_id = %(product_id)s::UUID AND variant_key = %(variant_key)s::UUID
 GROUP BY region
