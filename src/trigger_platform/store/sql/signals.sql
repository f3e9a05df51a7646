-- name: signal_insert
-- A worker instance must be told.
insert into signal (boot_id, kind, run_id, lease, waitpoint_id)
values (:boot_id, :kind, :run_id, :lease, :waitpoint_id);

-- name: signals_of
-- What a worker instance has yet to be told.
select {SignalRow} from signal where boot_id = :boot_id order by id;

-- name: signals_delete
-- It was told.
delete from signal where boot_id = :boot_id and id <= :id;

-- name: signals_forget
-- The instance is gone.
delete from signal where boot_id = :boot_id;
