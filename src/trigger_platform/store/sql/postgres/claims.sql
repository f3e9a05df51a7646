-- name: runs_claimable
-- The next runs of pools, whatever their queue; :pools is a JSON array.
select {first.RunRow} from {each :pools} cross join lateral (
    select {RunRow}, ctid as place from run
    where coalesce(worker_id, environment_id) = each.value
        and execution_status = 'QUEUED' and available_at is null
    order by position
    limit :limit{take}
) as first
order by first.position, first.place
limit :limit;

-- name: runs_claimable_of_queue
-- The next runs of one queue and concurrency key.
select {first.RunRow} from {each :pools} cross join lateral (
    select {RunRow}, ctid as place from run
    where coalesce(worker_id, environment_id) = each.value
        and queue = :queue and concurrency_key = :concurrency_key
        and execution_status = 'QUEUED' and available_at is null
    order by position
    limit :limit{take}
) as first
order by first.position, first.place
limit :limit;

-- name: positions_waiting
-- Where the first :limit runs of each of some concurrency keys of a queue stand.
select first.concurrency_key as key, first.position
from (select value as id from {each :pools}) as pool
cross join (select value as name from {each :keys}) as key
cross join lateral (
    select concurrency_key, position from run
    where coalesce(worker_id, environment_id) = pool.id
        and queue = :queue and concurrency_key = key.name
        and execution_status = 'QUEUED' and available_at is null
    order by position
    limit :limit
) as first
order by first.position;
