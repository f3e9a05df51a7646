-- name: queue_write
-- A queue, new or changed; whose turn it is there is the claims' business.
insert into queue ({QueueRow}) values ({:QueueRow})
on conflict (environment_id, name) do update set
    concurrency_limit = excluded.concurrency_limit,
    base_limit = excluded.base_limit,
    override_limit = excluded.override_limit,
    override_percent = excluded.override_percent,
    overridden_at = excluded.overridden_at,
    overridden_by = excluded.overridden_by,
    paused = excluded.paused;

-- name: queue_find
-- A queue by its id or by its name; the other one is empty.
select {QueueRow} from queue
where environment_id = :environment_id and (id = :id or name = :name);

-- name: queue_find_locked
-- The same, about to be changed.
select {QueueRow} from queue
where environment_id = :environment_id and (id = :id or name = :name){lock};

-- name: queues_all
-- Every queue of an environment, about to be changed.
select {QueueRow} from queue where environment_id = :environment_id order by name{lock};

-- name: queues_page
-- Queues in the order of their names.
select {QueueRow} from queue
where environment_id = :environment_id
order by name
limit :limit offset :offset;

-- name: queues_count
-- How many queues an environment has.
select count(*) from queue where environment_id = :environment_id;

-- name: queues_running
-- How many runs of some queues hold a slot; :names is a JSON array.
select queue as name, count(*) as count from run
where environment_id = :environment_id and slot_held = 1
    and queue in (select value from {each :names})
group by queue;

-- name: queues_queued
-- How many runs of some queues can be claimed; :names and :pools are JSON arrays.
select counted.name, cast(sum(counted.found) as bigint) as count from (
    select name.value as name, (
        select count(*) from run
        where coalesce(run.worker_id, run.environment_id) = pool.id and run.queue = name.value
            and run.execution_status = 'QUEUED' and run.available_at is null
    ) as found
    from (select value as id from {each :pools}) as pool
    cross join (select value from {each :names}) as name
) as counted
group by counted.name;

-- name: queued_at_most
-- How many runs wait in a queue; counting ends at :limit in each pool.
select cast(coalesce(sum(counted.found), 0) as bigint) from (
    select (
        select count(*) from (
            select 1 from run
            where coalesce(run.worker_id, run.environment_id) = each.value and run.queue = :queue
                and run.execution_status = 'QUEUED' and run.available_at is null
            limit :limit
        ) as first
    ) as found
    from {each :pools}
) as counted;

-- name: queue_keys
-- The concurrency keys of a queue whose runs wait, first the one whose first run stands at the front.
select r.concurrency_key as key, count(*) as queued, min(r.queued_at) as since, (
    select count(*) from run h
    where h.environment_id = :environment_id and h.queue = :queue
        and h.concurrency_key = r.concurrency_key and h.slot_held = 1
) as running
from (select value as id from {each :pools}) as pool
join run r on coalesce(r.worker_id, r.environment_id) = pool.id and r.queue = :queue
    and r.execution_status = 'QUEUED' and r.available_at is null
group by r.concurrency_key
order by min(r.position), r.concurrency_key
limit :limit offset :offset;

-- name: queue_keys_count
-- How many concurrency keys of a queue have runs that wait.
select count(distinct r.concurrency_key)
from (select value as id from {each :pools}) as pool
join run r on coalesce(r.worker_id, r.environment_id) = pool.id and r.queue = :queue
    and r.execution_status = 'QUEUED' and r.available_at is null;
