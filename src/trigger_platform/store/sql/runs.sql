-- name: run_insert
-- A new run; it exists, queued or delayed, from the moment this commits.
insert into run ({RunRow}) values ({:RunRow});

-- name: run_transition
-- Move a run; no row is touched when somebody else moved it first.
update run set {=RunMoveRow}
where id = :id and sequence = :expected_sequence;

-- name: run_output
-- Keep what a run returned.
update run set output = :output where id = :id;

-- name: run_by_id
-- One run of an environment.
select {RunRow} from run
where id = :id and environment_id = :environment_id;

-- name: run_by_id_locked
-- One run of an environment, taken.
select {RunRow} from run
where id = :id and environment_id = :environment_id{lock};

-- name: run_any
-- One run, wherever it is.
select {RunRow} from run
where id = :id;

-- name: runs_by_ids
-- Runs by id; :ids is a JSON array.
select {RunRow} from run
where id in (select value from {each :ids});

-- name: run_by_idempotency_key
-- The run that answers for a key.
select {RunRow} from run
where environment_id = :environment_id and task = :task and idempotency_key = :idempotency_key;

-- name: lines_resuming
-- Queues and keys with runs whose wait is over and that want a slot again; held is how many they are.
select queue, concurrency_key, count(*) as held
from run
where environment_id = :environment_id and execution_status = 'QUEUED_EXECUTING'
group by queue, concurrency_key;

-- name: runs_resuming
-- The first of them.
select {RunRow} from run
where environment_id = :environment_id and queue = :queue and concurrency_key = :concurrency_key
    and execution_status = 'QUEUED_EXECUTING'
order by position
limit :limit{take};

-- name: runs_due
-- Runs with something due.
select {RunRow} from run
where due_at <= :now
order by due_at
limit :limit{take};

-- name: runs_of_boot
-- Runs a worker instance holds.
select {RunRow} from run
where boot_id = :boot_id
order by id{lock};

-- name: run_children_live
-- Children of a run that are not final.
select {RunRow} from run
where parent_id = :parent_id and execution_status <> 'FINISHED';

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

-- name: run_bind
-- Let a queued run wait in the pool of a version.
update run set worker_id = :worker_id
where id = :id and sequence = :sequence and execution_status = 'QUEUED';

-- name: runs_come_home
-- Let what has not begun wait in the pool of the version that has its task, from now on.
update run set worker_id = :worker_id
where environment_id = :environment_id and execution_status in ('QUEUED', 'DELAYED', 'RUN_CREATED')
    and pinned = 0 and started_at is null and coalesce(worker_id, '') <> :worker_id
    and task in (select task from worker_task where worker_id = :worker_id);

-- name: run_clear_idempotency
-- Free a key; the run that had it no longer answers for it.
update run set idempotency_key = null where id = :id;

-- name: runs_clear_idempotency
-- Free a key at the user's wish.
update run set idempotency_key = null
where environment_id = :environment_id and task = :task and idempotency_key = :idempotency_key;

-- name: run_by_one_time_token
-- The run that a token for one use has triggered.
select id from run where one_time_token = :one_time_token;

-- name: run_next_due
-- When a run is due next.
select min(due_at) from run where due_at is not null;

-- name: output_of
-- What a run returned.
select output from run where id = :run_id;

-- name: runs_by_ids_locked
-- Runs by id, taken in the order of their ids, so that two transactions never wait for each other.
select {RunRow} from run
where id in (select value from {each :ids})
order by id{lock};

-- name: outputs_of
-- What runs returned.
select {OutputRow} from run where id in (select value from {each :ids});
