-- Looking around.  Predicates that a partial index repeats, such as status = 'active', stand as literals: a placeholder would
-- not let a generic plan prove them.

-- name: list_categories
-- The category tree of the home page.
SELECT id, parent_id, name, slug FROM categories WHERE is_active ORDER BY sort_order, name LIMIT 200

-- name: top_sellers
-- Best sellers of the home page, from the materialized views.  No stale read on CockroachDB: views are GLOBAL tables there and
-- answer in every region ([SRC:pkg/sql/create_view.go], [D:global-tables]).
SELECT f.product_id, f.name, f.total_quantity_sold, r.avg_rating
  FROM product_performance f
  LEFT JOIN product_ratings r ON r.product_id = f.product_id
 ORDER BY f.total_quantity_sold DESC, f.product_id
 LIMIT 12

-- name: category_path
-- A category by its URL with its subcategories: the head of a category page.
-- params: slug text
SELECT c.id, c.name, s.id, s.name, s.slug
  FROM categories c
  LEFT JOIN categories s ON s.parent_id = c.id AND s.is_active
 WHERE c.slug = %(slug)s::TEXT AND c.is_active
 ORDER BY s.sort_order, s.name

-- name: category_page
-- One page of a category by price; the next page starts after the last (price, id) shown.
-- params: category_id uuid, after_price numeric, after_id uuid
SELECT id, name, slug, price, compare_price
  FROM products
 WHERE status = 'active' AND category_id = %(category_id)s::UUID
   AND (price, id) > (%(after_price)s::DECIMAL, %(after_id)s::UUID)
 ORDER BY price, id
 LIMIT 24

-- name: category_page_priced
-- The same with a highest price; the lowest is where the first page starts.
-- params: category_id uuid, after_price numeric, after_id uuid, max_price numeric
SELECT id, name, slug, price, compare_price
  FROM products
 WHERE status = 'active' AND category_id = %(category_id)s::UUID AND price <= %(max_price)s::DECIMAL
   AND (price, id) > (%(after_price)s::DECIMAL, %(after_id)s::UUID)
 ORDER BY price, id
 LIMIT 24

-- name: category_page_branded
-- The same with one brand.
-- params: category_id uuid, after_price numeric, after_id uuid, brand text
SELECT id, name, slug, price, compare_price
  FROM products
 WHERE status = 'active' AND category_id = %(category_id)s::UUID AND brand = %(brand)s::TEXT
   AND (price, id) > (%(after_price)s::DECIMAL, %(after_id)s::UUID)
 ORDER BY price, id
 LIMIT 24

-- name: category_page_tagged
-- The same with one tag.
-- params: category_id uuid, after_price numeric, after_id uuid, tag text
SELECT id, name, slug, price, compare_price
  FROM products
 WHERE status = 'active' AND category_id = %(category_id)s::UUID AND tags @> ARRAY[%(tag)s::TEXT]::VARCHAR[]
   AND (price, id) > (%(after_price)s::DECIMAL, %(after_id)s::UUID)
 ORDER BY price, id
 LIMIT 24

-- name: brand_page
-- One page of a brand by price, over all categories.
-- params: brand text, after_price numeric, after_id uuid
SELECT id, name, slug, price, compare_price
  FROM products
 WHERE status = 'active' AND brand = %(brand)s::TEXT
   AND (price, id) > (%(after_price)s::DECIMAL, %(after_id)s::UUID)
 ORDER BY price, id
 LIMIT 24

-- name: tag_page
-- One page of a tag by price, over all categories.
-- params: tag text, after_price numeric, after_id uuid
SELECT id, name, slug, price, compare_price
  FROM products
 WHERE status = 'active' AND tags @> ARRAY[%(tag)s::TEXT]::VARCHAR[]
   AND (price, id) > (%(after_price)s::DECIMAL, %(after_id)s::UUID)
 ORDER BY price, id
 LIMIT 24

-- name: price_page
-- One page of everything up to a price, the cheapest first: a page of bargains.
-- params: max_price numeric, after_price numeric, after_id uuid
SELECT id, name, slug, price, compare_price
  FROM products
 WHERE status = 'active' AND price <= %(max_price)s::DECIMAL
   AND (price, id) > (%(after_price)s::DECIMAL, %(after_id)s::UUID)
 ORDER BY price, id
 LIMIT 24

-- name: search_products
-- Full-text search, as a search box sends it, the best match first.
-- params: words text
SELECT id, name, slug, price, ts_rank(search_vector, plainto_tsquery('english', %(words)s::TEXT)) AS relevance
  FROM products
 WHERE status = 'active' AND search_vector @@ plainto_tsquery('english', %(words)s::TEXT)
 ORDER BY relevance DESC, id
 LIMIT 24

-- name: search_products_by_price
-- The same sorted by price, page by page.
-- params: words text, after_price numeric, after_id uuid
SELECT id, name, slug, price
  FROM products
 WHERE status = 'active' AND search_vector @@ plainto_tsquery('english', %(words)s::TEXT)
   AND (price, id) > (%(after_price)s::DECIMAL, %(after_id)s::UUID)
 ORDER BY price, id
 LIMIT 24

-- name: product_page
-- A product by its URL, with its rating.
-- params: slug text
SELECT p.id, p.name, p.description, p.price, p.compare_price, p.dimensions, r.review_count, r.avg_rating
  FROM products p
  LEFT JOIN product_ratings r ON r.product_id = p.id
 WHERE p.slug = %(slug)s::TEXT

-- name: product_variants_of
-- The variants that a product page offers.
-- params: product_id uuid
SELECT id, name, COALESCE(price, -1), attributes
  FROM product_variants
 WHERE product_id = %(product_id)s::UUID AND is_active
 ORDER BY sort_order

-- name: stock_of_item
-- What is left of an item, by region: the product page's "in stock" badge.  Read as of now in every region, also on
-- CockroachDB: in a sale the stock of some seconds ago is what nobody can buy any more.
-- params: product_id uuid, variant_key uuid
SELECT region::TEXT, sum(quantity_available)::BIGINT
  FROM inventory
 WHERE product_id = %(product_id)s::UUID AND variant_key = %(variant_key)s::UUID
 GROUP BY region
 ORDER BY region

-- name: rating_of_product
-- How many gave how many stars, from the view.
-- params: product_id uuid
SELECT review_count, avg_rating, five_star_count, four_star_count, three_star_count, two_star_count, one_star_count
  FROM product_ratings
 WHERE product_id = %(product_id)s::UUID

-- name: reviews_page
-- dialect: postgres
-- One page of a product's approved reviews, the latest first; the next starts after the last (created_at, id) shown.
-- params: product_id uuid, before timestamptz, before_id uuid
SELECT region::TEXT, id, rating, title, review_text, is_verified, helpful_count, created_at
  FROM product_reviews
 WHERE product_id = %(product_id)s::UUID AND is_approved
   AND (created_at, id) < (%(before)s::TIMESTAMPTZ, %(before_id)s::UUID)
 ORDER BY created_at DESC, id DESC
 LIMIT 10

-- name: reviews_page
-- dialect: cockroach
-- The same as of some four seconds ago, from replicas near the reader: a product's reviews lie in every region, nobody misses
-- those of the last seconds, and without it each page waits for the farthest region (docs: follower reads; one statement
-- outside an explicit transaction, since the time must not be a placeholder and holds for the whole transaction).
-- params: product_id uuid, before timestamptz, before_id uuid
SELECT region::TEXT, id, rating, title, review_text, is_verified, helpful_count, created_at
  FROM product_reviews
    AS OF SYSTEM TIME follower_read_timestamp()
 WHERE product_id = %(product_id)s::UUID AND is_approved
   AND (created_at, id) < (%(before)s::TIMESTAMPTZ, %(before_id)s::UUID)
 ORDER BY created_at DESC, id DESC
 LIMIT 10
