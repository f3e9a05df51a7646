-- name: checkpoint_insert
-- A run was put away.
insert into checkpoint ({CheckpointRow}) values ({:CheckpointRow});

-- name: checkpoint_by_id
-- Where a run was put away.
select {CheckpointRow} from checkpoint where id = :id;

-- name: edges_over
-- Waits of an attempt that are over, told or not.
select {e.EdgeRow}
from edge e join waitpoint w on w.id = e.waitpoint_id
where e.run_id = :run_id and e.attempt = :attempt and w.status = 'COMPLETED'
order by e.ref, e.position;

-- name: edges_handed_over
-- They go with the run to whoever restores it.
update edge set delivered = :sequence
where run_id = :run_id and attempt = :attempt and delivered = 0
    and waitpoint_id in (select id from waitpoint where id = edge.waitpoint_id and status = 'COMPLETED');

-- name: signals_of_run_forget
-- The process they were for is gone.
delete from signal where boot_id = :boot_id and run_id = :run_id;
