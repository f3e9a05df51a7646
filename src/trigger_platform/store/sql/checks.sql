-- name: runs_all
-- Every run, for the checker of invariants.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run order by id;

-- name: snapshots_all
-- Every step of every run, in order, for the checker of invariants.
select run_id, sequence, execution_status, attempt from execution_snapshot order by run_id, sequence;

-- name: edges_of_run
-- How many waits a run has.
select count(*) from edge where run_id = :run_id;
