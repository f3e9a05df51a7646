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

-- name: claimable_at_most
-- How many runs of an environment can be claimed; counting ends at :limit.
select count(*) from (
    select 1 from run
    where environment_id = :environment_id and execution_status = 'QUEUED' and available_at is null
    limit :limit
) as found;

-- name: queues_by_name
-- Queues by name; :names is a JSON array.
select {QueueRow} from queue
where environment_id = :environment_id and name in (select value from {each :names});

-- name: queue_served
-- The concurrency key that had the last turn of a queue.
update queue set last_key = :key where environment_id = :environment_id and name = :name;

-- name: queues_with_keys
-- Which of some queues have runs with concurrency keys; :names is a JSON array.
select value as name from {each :names}
where exists (
    select 1 from run
    where environment_id = :environment_id and queue = each.value and concurrency_key > ''
        and execution_status = 'QUEUED' and available_at is null
);

-- name: queues_waiting
-- The queues that have runs to claim, found by leaping from one to the next; the cost grows with the queues.
-- head is where the first run without a key stands, or the first one of the first key.
with recursive line (queue) as (
    select min(queue) from run
    where environment_id = :environment_id and execution_status = 'QUEUED' and available_at is null
    union all
    select (
        select min(run.queue) from run
        where run.environment_id = :environment_id and run.queue > line.queue
            and run.execution_status = 'QUEUED' and run.available_at is null
    )
    from line where line.queue is not null
),
keyed (queue, first_key) as (
    select line.queue, (
        select min(run.concurrency_key) from run
        where run.environment_id = :environment_id and run.queue = line.queue
            and run.execution_status = 'QUEUED' and run.available_at is null
    )
    from line where line.queue is not null
)
select keyed.queue as queue, (
    select min(run.position) from run
    where run.environment_id = :environment_id and run.queue = keyed.queue
        and run.concurrency_key = keyed.first_key
        and run.execution_status = 'QUEUED' and run.available_at is null
) as head
from keyed
order by 2;

-- name: keys_waiting
-- Up to :limit concurrency keys of a queue after one, by leaping from one to the next.
with recursive line (concurrency_key, place) as (
    select min(concurrency_key), 1 from run
    where environment_id = :environment_id and queue = :queue and concurrency_key > :after
        and execution_status = 'QUEUED' and available_at is null
    union all
    select (
        select min(run.concurrency_key) from run
        where run.environment_id = :environment_id and run.queue = :queue
            and run.concurrency_key > line.concurrency_key
            and run.execution_status = 'QUEUED' and run.available_at is null
    ), line.place + 1
    from line where line.concurrency_key is not null and line.place < :limit
)
select line.concurrency_key as key, (
    select min(run.position) from run
    where run.environment_id = :environment_id and run.queue = :queue
        and run.concurrency_key = line.concurrency_key
        and run.execution_status = 'QUEUED' and run.available_at is null
) as head
from line where line.concurrency_key is not null
order by line.place;

-- name: positions_waiting
-- Where the first runs of a queue and concurrency key stand.
select position from run
where environment_id = :environment_id and queue = :queue and concurrency_key = :concurrency_key
    and execution_status = 'QUEUED' and available_at is null
order by position
limit :limit;

-- name: ahead_at_most
-- How many runs of a line stand before a position; counting ends at :limit.
select count(*) from (
    select 1 from run
    where environment_id = :environment_id and queue = :queue
        and concurrency_key = :concurrency_key and position < :position
        and execution_status = 'QUEUED' and available_at is null
    limit :limit
) as found;
