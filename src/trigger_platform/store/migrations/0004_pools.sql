-- A queued run waits in the pool of the version it is bound to, or of its environment: see engine/pool.py.

drop index run_claim;
drop index run_claim_by_queue;

create index run_claim on run (coalesce(worker_id, environment_id), position)
    where execution_status = 'QUEUED' and available_at is null;
create index run_claim_by_queue on run (coalesce(worker_id, environment_id), queue, concurrency_key, position)
    where execution_status = 'QUEUED' and available_at is null;
create index run_claim_bound on run (environment_id, worker_id)
    where execution_status = 'QUEUED' and available_at is null and worker_id is not null;
