-- name: schema_number
-- The number of the newest migration that was applied.
select user_version from pragma_user_version;
