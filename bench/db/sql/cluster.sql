-- What `bench cluster` asks of the cluster of docker-compose.cluster.yml, and what it sets there (docs/cluster.md).  Its
-- database is made by the statement of the schema's variant.

-- name: cluster_regions
-- The regions and zones of the nodes' localities ([D:show-regions]).
-- dialect: cockroach
SELECT region, array_to_string(zones, ', ') AS zones FROM [SHOW REGIONS FROM CLUSTER] ORDER BY region

-- name: database_regions
-- The regions of the database that is connected to, and which is primary.
-- dialect: cockroach
SELECT region, CASE WHEN "primary" THEN 'primary' ELSE '' END AS role FROM [SHOW REGIONS FROM DATABASE] ORDER BY region

-- name: survival_goal
-- What that database survives: zone or region ([D:alter-database]).
-- dialect: cockroach
SELECT survival_goal FROM [SHOW SURVIVAL GOAL FROM DATABASE]

-- name: node_locality
-- Where the node that answers stands ([D:show-locality]).
-- dialect: cockroach
SHOW LOCALITY

-- name: license_key
-- Empty where no licence was set ([C:licensing-faqs]).
-- dialect: cockroach
SHOW CLUSTER SETTING enterprise.license

-- name: survive_zone
-- names: database
-- dialect: cockroach
ALTER DATABASE {database} SURVIVE ZONE FAILURE

-- name: survive_region
-- Needs three regions of the database or more ([D:multiregion-survival-goals]).
-- names: database
-- dialect: cockroach
ALTER DATABASE {database} SURVIVE REGION FAILURE
