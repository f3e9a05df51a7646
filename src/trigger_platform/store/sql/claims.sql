-- name: environments_lock
-- Several environments, taken in the order of their ids.
select {EnvironmentRow} from environment
where id in (select value from {each :ids})
order by id{lock};

-- name: environment_served
-- How much of the claiming an environment has had.
update environment set served = :served where id = :id;

-- name: slots_of_environment
-- How many slots an environment holds.
select count(*) from run where environment_id = :environment_id and slot_held = 1;

-- name: workers_of_environment
-- Which of some versions are of an environment; :ids is a JSON array.
select id from worker
where environment_id = :environment_id and id in (select value from {each :ids});

-- name: versions_waited_for
-- The versions that queued runs are bound to, found by leaping from one to the next.
with recursive bound (id) as (
    select min(worker_id) from run
    where environment_id = :environment_id and worker_id is not null
        and execution_status = 'QUEUED' and available_at is null
    union all
    select (
        select min(run.worker_id) from run
        where run.environment_id = :environment_id and run.worker_id > bound.id
            and run.execution_status = 'QUEUED' and run.available_at is null
    )
    from bound where bound.id is not null
)
select id from bound where id is not null;

-- name: versions_to_supervise
-- Managed versions that waiting runs may start on now, of the environment that was served the least first. The
-- pools in which runs wait are found by leaping from one to the next.
with recursive pool (id) as (
    select min(coalesce(worker_id, environment_id)) from run
    where execution_status = 'QUEUED' and available_at is null
    union all
    select (
        select min(coalesce(run.worker_id, run.environment_id)) from run
        where coalesce(run.worker_id, run.environment_id) > pool.id
            and run.execution_status = 'QUEUED' and run.available_at is null
    )
    from pool where pool.id is not null
)
select d.environment_id, d.worker_id
from deployment d join environment e on e.id = d.environment_id
where d.worker_id in (
        select id from pool where id is not null
        union
        select here.current_worker_id from environment here join pool on pool.id = here.id
        where here.current_worker_id is not null
    )
    and d.type = 'MANAGED' and d.status = 'DEPLOYED'
    and e.type <> 'DEVELOPMENT' and e.archived_at is null and e.paused = 0
order by e.served, e.id, d.worker_id;

-- name: claimable_at_most
-- How many runs of pools can be claimed; counting ends at :limit in each.
select cast(coalesce(sum(counted.found), 0) as bigint) from (
    select (
        select count(*) from (
            select 1 from run
            where coalesce(run.worker_id, run.environment_id) = each.value
                and run.execution_status = 'QUEUED' and run.available_at is null
            limit :limit
        ) as first
    ) as found
    from {each :pools}
) as counted;

-- name: queues_by_name
-- Queues by name; :names is a JSON array.
select {QueueRow} from queue
where environment_id = :environment_id and name in (select value from {each :names});

-- name: queue_served
-- The concurrency key that had the last turn of a queue.
update queue set last_key = :key where environment_id = :environment_id and name = :name;

-- name: queues_with_keys
-- Which of some queues have runs with concurrency keys; :names is a JSON array.
select distinct name.value as name
from (select value as id from {each :pools}) as pool
cross join (select value from {each :names}) as name
where (
    select min(run.concurrency_key) from run
    where coalesce(run.worker_id, run.environment_id) = pool.id
        and run.queue = name.value and run.concurrency_key > ''
        and run.execution_status = 'QUEUED' and run.available_at is null
) is not null;

-- name: queues_waiting
-- The queues that have runs to claim, found by leaping from one to the next; the cost grows with the queues.
-- head is where the first run without a key stands, or the first one of the first key.
with recursive line (pool, queue) as (
    select each.value, (
        select min(run.queue) from run
        where coalesce(run.worker_id, run.environment_id) = each.value
            and run.execution_status = 'QUEUED' and run.available_at is null
    )
    from {each :pools}
    union all
    select line.pool, (
        select min(run.queue) from run
        where coalesce(run.worker_id, run.environment_id) = line.pool and run.queue > line.queue
            and run.execution_status = 'QUEUED' and run.available_at is null
    )
    from line where line.queue is not null
),
keyed (pool, queue, first_key) as (
    select line.pool, line.queue, (
        select min(run.concurrency_key) from run
        where coalesce(run.worker_id, run.environment_id) = line.pool and run.queue = line.queue
            and run.execution_status = 'QUEUED' and run.available_at is null
    )
    from line where line.queue is not null
),
headed (queue, head) as (
    select keyed.queue, (
        select min(run.position) from run
        where coalesce(run.worker_id, run.environment_id) = keyed.pool and run.queue = keyed.queue
            and run.concurrency_key = keyed.first_key
            and run.execution_status = 'QUEUED' and run.available_at is null
    )
    from keyed
)
select queue, min(head) as head from headed group by queue order by 2;

-- name: keys_waiting
-- Up to :limit concurrency keys of a queue after one, by leaping from one to the next in each pool.
with recursive line (pool, concurrency_key, place) as (
    select each.value, (
        select min(run.concurrency_key) from run
        where coalesce(run.worker_id, run.environment_id) = each.value
            and run.queue = :queue and run.concurrency_key > :after
            and run.execution_status = 'QUEUED' and run.available_at is null
    ), 1
    from {each :pools}
    union all
    select line.pool, (
        select min(run.concurrency_key) from run
        where coalesce(run.worker_id, run.environment_id) = line.pool
            and run.queue = :queue and run.concurrency_key > line.concurrency_key
            and run.execution_status = 'QUEUED' and run.available_at is null
    ), line.place + 1
    from line where line.concurrency_key is not null and line.place < :limit
),
headed (key, head) as (
    select line.concurrency_key, (
        select min(run.position) from run
        where coalesce(run.worker_id, run.environment_id) = line.pool and run.queue = :queue
            and run.concurrency_key = line.concurrency_key
            and run.execution_status = 'QUEUED' and run.available_at is null
    )
    from line where line.concurrency_key is not null
)
select key, min(head) as head from headed group by key order by key limit :limit;

-- name: ahead_at_most
-- How many runs of a line stand before a position; counting ends at :limit in each pool.
select cast(coalesce(sum(counted.found), 0) as bigint) from (
    select (
        select count(*) from (
            select 1 from run
            where coalesce(run.worker_id, run.environment_id) = each.value
                and run.queue = :queue and run.concurrency_key = :concurrency_key
                and run.position < :position
                and run.execution_status = 'QUEUED' and run.available_at is null
            limit :limit
        ) as first
    ) as found
    from {each :pools}
) as counted;
