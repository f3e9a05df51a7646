-- name: waitpoint_insert
-- A moment to wait for.
insert into waitpoint (id, environment_id, type, status, due_at, created_at)
values (:id, :environment_id, :type, 'PENDING', :due_at, :now);

-- name: waitpoint_complete
-- The first to complete a waitpoint wins.
update waitpoint set status = 'COMPLETED', completed_at = :now, due_at = null
where id = :id and status = 'PENDING';

-- name: waitpoints_due
-- Moments that have come.
select id as name, due_at as count from waitpoint
where status = 'PENDING' and due_at <= :now
order by due_at
limit :limit;

-- name: waitpoint_next_due
-- When the next moment comes.
select min(due_at) from waitpoint where status = 'PENDING' and due_at is not null;

-- name: waitpoints_completed
-- Which of these are over; :ids is a JSON array.
select id as name, 1 as count from waitpoint
where status = 'COMPLETED' and id in (select value from json_each(:ids));

-- name: edge_insert
-- An attempt waits for a waitpoint.
insert into edge (run_id, attempt, waitpoint_id, ref, created_at)
values (:run_id, :attempt, :waitpoint_id, :ref, :now);

-- name: edge_of_ref
-- The wait an attempt already has under this name.
select run_id, attempt, waitpoint_id, ref from edge
where run_id = :run_id and attempt = :attempt and ref = :ref;

-- name: edges_of_waitpoint
-- Who waits for a waitpoint.
select run_id, attempt, waitpoint_id, ref from edge where waitpoint_id = :waitpoint_id;

-- name: edges_completed
-- Waits of an attempt that are over.
select e.run_id, e.attempt, e.waitpoint_id, e.ref
from edge e join waitpoint w on w.id = e.waitpoint_id
where e.run_id = :run_id and e.attempt = :attempt and w.status = 'COMPLETED';

-- name: edge_delete
-- A wait was delivered.
delete from edge where run_id = :run_id and attempt = :attempt and waitpoint_id = :waitpoint_id;

-- name: edges_delete
-- The attempts of a run wait for nothing any more.
delete from edge where run_id = :run_id;
