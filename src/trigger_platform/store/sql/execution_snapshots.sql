-- name: snapshot_insert
-- A transition happened.
insert into execution_snapshot (
    run_id, sequence, execution_status, run_status, attempt, description, boot_id, error, created_at
) values (
    :run_id, :sequence, :execution_status, :run_status, :attempt, :description, :boot_id, :error, :created_at
);
