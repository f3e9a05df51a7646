-- name: signal_insert
-- A worker instance must be told.
insert into signal (boot_id, kind, run_id, lease, waitpoint_id)
values (:boot_id, :kind, :run_id, :lease, :waitpoint_id);

-- name: signals_take
-- Take what a worker instance has yet to be told; a name that two environments use stands for two instances.
delete from signal
where boot_id = :boot_id and :environment_id = (select r.environment_id from run r where r.id = signal.run_id)
returning {SignalRow};

-- name: signals_forget
-- The instance is gone.
delete from signal
where boot_id = :boot_id and :environment_id = (select r.environment_id from run r where r.id = signal.run_id);
