-- name: runs_claimable
-- The next runs of pools, whatever their queue; :pools is a JSON array.
select {run.RunRow} from {each :pools} cross join run on run.rowid in (
    select rowid from run as first
    where coalesce(worker_id, environment_id) = each.value
        and execution_status = 'QUEUED' and available_at is null
    order by position
    limit :limit
)
order by run.position, run.rowid
limit :limit;

-- name: runs_claimable_of_queue
-- The next runs of one queue and concurrency key.
select {run.RunRow} from {each :pools} cross join run on run.rowid in (
    select rowid from run as first
    where coalesce(worker_id, environment_id) = each.value
        and queue = :queue and concurrency_key = :concurrency_key
        and execution_status = 'QUEUED' and available_at is null
    order by position
    limit :limit
)
order by run.position, run.rowid
limit :limit;

-- name: positions_waiting
-- Where the first :limit runs of each of some concurrency keys of a queue stand.
select run.concurrency_key as key, run.position
from (select value as id from {each :pools}) as pool
cross join (select value as name from {each :keys}) as key
cross join run on run.rowid in (
    select rowid from run as first
    where coalesce(worker_id, environment_id) = pool.id
        and queue = :queue and concurrency_key = key.name
        and execution_status = 'QUEUED' and available_at is null
    order by position
    limit :limit
)
order by run.position;
