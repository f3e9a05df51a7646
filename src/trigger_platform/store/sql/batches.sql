-- name: batch_insert
-- Runs that were triggered together.
insert into batch (id, environment_id, run_count, created_at) values (:id, :environment_id, :run_count, :now);
