-- name: run_insert
-- A new run; it exists, queued or delayed, from the moment this commits.
insert into run (
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
) values (
    :id, :environment_id, :task, :status, :status_reason, :execution_status, :sequence,
    :attempt, :max_attempts, :delivery_failures, :queue, :concurrency_key, :position,
    :available_at, :due_at, :slot_held, :lease, :boot_id, :worker_id, :version, :pinned,
    :retry, :machine, :max_duration, :priority_ms, :delay_until, :ttl_ms, :created_at,
    :updated_at, :queued_at, :started_at, :attempt_started_at, :completed_at, :expired_at,
    :usage_ms, :idempotency_key, :idempotency_expires_at, :idempotency_options, :parent_id,
    :root_id, :depth, :replay_of, :batch_id, :is_test, :tags, :metadata, :output_type, :error
);

-- name: run_transition
-- Move a run; no row is touched when somebody else moved it first.
update run set
    status = :status,
    status_reason = :status_reason,
    execution_status = :execution_status,
    sequence = :sequence,
    attempt = :attempt,
    max_attempts = :max_attempts,
    delivery_failures = :delivery_failures,
    queue = :queue,
    position = :position,
    available_at = :available_at,
    due_at = :due_at,
    slot_held = :slot_held,
    lease = :lease,
    boot_id = :boot_id,
    worker_id = :worker_id,
    version = :version,
    pinned = :pinned,
    retry = :retry,
    machine = :machine,
    max_duration = :max_duration,
    updated_at = :updated_at,
    queued_at = :queued_at,
    started_at = :started_at,
    attempt_started_at = :attempt_started_at,
    completed_at = :completed_at,
    expired_at = :expired_at,
    usage_ms = :usage_ms,
    idempotency_key = :idempotency_key,
    output_type = :output_type,
    error = :error
where id = :id and sequence = :expected_sequence;

-- name: run_output
-- Keep what a run returned.
update run set output = :output where id = :id;

-- name: run_by_id
-- One run of an environment.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run
where id = :id and environment_id = :environment_id;

-- name: run_any
-- One run, wherever it is.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run
where id = :id;

-- name: runs_by_ids
-- Runs by id; :ids is a JSON array.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run
where id in (select value from json_each(:ids));

-- name: run_by_idempotency_key
-- The run that answers for a key.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run
where environment_id = :environment_id and task = :task and idempotency_key = :idempotency_key;

-- name: runs_claimable
-- The next runs of an environment, whatever their queue.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run
where environment_id = :environment_id and execution_status = 'QUEUED' and available_at is null
order by position
limit :limit;

-- name: runs_claimable_of_queue
-- The next runs of one queue and concurrency key.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run
where environment_id = :environment_id and queue = :queue and concurrency_key = :concurrency_key
    and execution_status = 'QUEUED' and available_at is null
order by position
limit :limit;

-- name: runs_resuming
-- Runs whose wait is over and that want a slot again, in queue order.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run
where environment_id = :environment_id and execution_status = 'QUEUED_EXECUTING'
order by position
limit :limit;

-- name: runs_due
-- Runs with something due.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run
where due_at <= :now
order by due_at
limit :limit;

-- name: runs_of_boot
-- Runs a worker instance holds.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run
where boot_id = :boot_id;

-- name: runs_pending_version
-- Runs that wait for a version with their task; :tasks is a JSON array.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run
where environment_id = :environment_id and status = 'PENDING_VERSION'
    and task in (select value from json_each(:tasks))
order by position
limit :limit;

-- name: run_children_live
-- Children of a run that are not final.
select
    id, environment_id, task, status, status_reason, execution_status, sequence, attempt,
    max_attempts, delivery_failures, queue, concurrency_key, position, available_at, due_at,
    slot_held, lease, boot_id, worker_id, version, pinned, retry, machine, max_duration,
    priority_ms, delay_until, ttl_ms, created_at, updated_at, queued_at, started_at,
    attempt_started_at, completed_at, expired_at, usage_ms, idempotency_key,
    idempotency_expires_at, idempotency_options, parent_id, root_id, depth, replay_of,
    batch_id, is_test, tags, metadata, output_type, error
from run
where parent_id = :parent_id and execution_status <> 'FINISHED';

-- name: claimable_queues
-- Which queues and keys have runs to claim, oldest first.
select queue, concurrency_key, min(position) as held
from run
where environment_id = :environment_id and execution_status = 'QUEUED' and available_at is null
group by queue, concurrency_key
order by min(position);

-- name: slots_held
-- How many slots are held, by queue and concurrency key.
select queue, concurrency_key, count(*) as held
from run
where environment_id = :environment_id and slot_held = 1
group by queue, concurrency_key;

-- name: run_make_available
-- The back-off is over: the run can be claimed.
update run set available_at = null, due_at = null where id = :id and execution_status = 'QUEUED';

-- name: run_extend_lease
-- A heartbeat.
update run set due_at = :due_at where id = :id and lease = :lease and boot_id = :boot_id;

-- name: leases_grace
-- Give every live lease a fresh deadline.
update run set due_at = :due_at where boot_id is not null;

-- name: run_clear_idempotency
-- Free a key; the run that had it no longer answers for it.
update run set idempotency_key = null where id = :id;

-- name: run_next_due
-- When a run is due next.
select min(due_at) from run where due_at is not null;

-- name: output_of
-- What a run returned.
select output from run where id = :run_id;
