-- name: read_runs
-- A page of runs, newest first; empty filters match everything, lists are JSON arrays.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run
where environment_id = :environment_id
    and (:before = '' or id < :before)
    and (:statuses = '' or status in (select value from json_each(:statuses)))
    and (:tasks = '' or task in (select value from json_each(:tasks)))
    and (:versions = '' or version in (select value from json_each(:versions)))
    and (:tag = '' or exists (select 1 from json_each(run.tags) where value = :tag))
order by id desc
limit :limit;

-- name: read_runs_newer
-- The page before: the oldest of the runs that are newer than a cursor.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run
where environment_id = :environment_id
    and id > :after
    and (:statuses = '' or status in (select value from json_each(:statuses)))
    and (:tasks = '' or task in (select value from json_each(:tasks)))
    and (:versions = '' or version in (select value from json_each(:versions)))
    and (:tag = '' or exists (select 1 from json_each(run.tags) where value = :tag))
order by id
limit :limit;

-- name: read_children
-- The runs a run triggered.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run
where parent_id = :parent_id
order by id
limit :limit;

-- name: read_snapshots
-- The steps of a run.
select sequence, execution_status, run_status, attempt, description, error, created_at
from execution_snapshot
where run_id = :run_id
order by sequence;

-- name: read_logs
-- What a run wrote, after a line.
select id, attempt, time, level, source, message, attributes
from run_log
where run_id = :run_id and id > :after
order by id
limit :limit;

-- name: read_tasks
-- The tasks of a version.
select worker_id, task, file_path, line, description, queue, retry, machine, max_duration, ttl_ms, isolation,
    payload_schema
from worker_task
where worker_id = :worker_id
order by task;
