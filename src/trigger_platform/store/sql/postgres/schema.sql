-- name: schema_number
-- The number of the newest migration that was applied.
select max(number) from schema_migration;
