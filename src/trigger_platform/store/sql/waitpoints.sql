-- name: waitpoint_insert
-- Something to wait for.
insert into waitpoint ({WaitpointRow}) values ({:WaitpointRow});

-- name: waitpoint_by_id
-- A waitpoint of an environment.
select {WaitpointRow} from waitpoint where id = :id and environment_id = :environment_id;

-- name: waitpoint_any
-- A waitpoint, wherever it is.
select {WaitpointRow} from waitpoint where id = :id;

-- name: waitpoint_by_key
-- The waitpoint that answers for a key.
select {WaitpointRow} from waitpoint where environment_id = :environment_id and key = :key{lock};

-- name: waitpoint_retire_key
-- The key has run out: it answers no more, and is kept for history.
update waitpoint set inactive_key = key, key = null, key_expires_at = null where id = :id;

-- name: waitpoints_by_ids
-- Waitpoints by id.
select {WaitpointRow} from waitpoint where id in (select value from {each :ids});

-- name: waitpoints_locked
-- Take waitpoints so that nobody completes them meanwhile.
select id from waitpoint where id in (select value from {each :ids}) order by id{lock};

-- name: waitpoints_pending_locked
-- Take those that are not completed yet.
select {WaitpointRow} from waitpoint
where status = 'PENDING' and id in (select value from {each :ids}) order by id{lock};

-- name: waitpoints_of_runs
-- The waitpoints of runs' ends.
select {WaitpointRow} from waitpoint where run_id in (select value from {each :run_ids});

-- name: waitpoint_of_batch
-- The waitpoint of a batch's end.
select {WaitpointRow} from waitpoint where batch_id = :batch_id;

-- name: waitpoint_complete
-- The first to complete a waitpoint wins.
update waitpoint set
    status = 'COMPLETED', completed_at = :now, due_at = null,
    output = :output, output_type = :output_type, is_error = :is_error
where id = :id and status = 'PENDING';

-- name: waitpoints_due
-- Moments and timeouts that have come.
select {WaitpointRow} from waitpoint
where status = 'PENDING' and due_at <= :now
order by due_at
limit :limit{take};

-- name: waitpoint_next_due
-- When the next moment comes.
select min(due_at) from waitpoint where status = 'PENDING' and due_at is not null;

-- name: edge_insert
-- An attempt waits for a waitpoint.
insert into edge ({EdgeRow}) values ({:EdgeRow}) on conflict do nothing;

-- name: edges_of_ref
-- The waits an attempt has under one name.
select {EdgeRow} from edge
where run_id = :run_id and attempt = :attempt and ref = :ref
order by position;

-- name: edges_of_waitpoints
-- Who waits for waitpoints and has not been told.
select {EdgeRow} from edge
where waitpoint_id in (select value from {each :ids}) and delivered = 0;

-- name: edge_open
-- Whether an attempt waits for something that is not over.
select 1 from edge e join waitpoint w on w.id = e.waitpoint_id
where e.run_id = :run_id and e.attempt = :attempt and e.delivered = 0 and w.status = 'PENDING'
limit 1;

-- name: edge_any
-- Whether an attempt has waits.
select 1 from edge where run_id = :run_id and attempt = :attempt limit 1;

-- name: edges_completed
-- Waits of an attempt that are over and have not been delivered.
select {e.EdgeRow}
from edge e join waitpoint w on w.id = e.waitpoint_id
where e.run_id = :run_id and e.attempt = :attempt and e.delivered = 0 and w.status = 'COMPLETED'
order by e.position;

-- name: edge_deliver
-- A wait was delivered, at a step of its run.
update edge set delivered = :sequence
where run_id = :run_id and attempt = :attempt and ref = :ref and position = :position;

-- name: edges_again
-- What was delivered is waited for once more.
update edge set delivered = 0
where run_id = :run_id and attempt = :attempt and ref = :ref and delivered > 0
    and waitpoint_id in (select value from {each :ids});

-- name: edges_told_since_executing
-- Waits that were delivered with a step of a run, or while it waited before it.
select {e.EdgeRow}
from edge e
where e.run_id = :run_id and e.attempt = :attempt and e.delivered > coalesce((
    select max(s.sequence) from execution_snapshot s
    where s.run_id = :run_id and s.sequence < :sequence and s.execution_status = 'EXECUTING'
), 0)
order by e.ref, e.position;

-- name: edges_told_since
-- Waits that were delivered after a step of a run.
select {EdgeRow} from edge
where run_id = :run_id and attempt = :attempt and delivered > :sequence
order by ref, position;

-- name: edges_give_up
-- An attempt no longer waits under this name.
delete from edge where run_id = :run_id and attempt = :attempt and ref = :ref and delivered = 0;

-- name: edges_delete
-- Runs wait for nothing any more.
delete from edge where run_id in (select value from {each :run_ids});
