-- What stands in the database at a moment, for who watches it. Nothing here looks at runs that have ended, and
-- nothing counts further than :most: whoever has that many waiting knows enough.

-- name: gauge_queued
-- How many runs can be claimed.
select count(*) from (
    select 1 from run where execution_status = 'QUEUED' and available_at is null limit :most
) as queued;

-- name: gauge_resuming
-- How many runs wait for a slot to go on.
select count(*) from (
    select 1 from run where execution_status = 'QUEUED_EXECUTING' limit :most
) as resuming;

-- name: gauge_pending_version
-- How many runs wait for a version.
select count(*) from (
    select 1 from run where status = 'PENDING_VERSION' limit :most
) as parked;

-- name: gauge_leased
-- How many runs workers hold, by what they do.
select execution_status as name, count(*) as count from (
    select execution_status from run where boot_id is not null limit :most
) as leased
group by execution_status
order by execution_status;

-- name: gauge_oldest_queued
-- Since when the run waits that is first in line; each pool has a line, and the index is leapt through from pool
-- to pool.
with recursive pool(name) as (
    select min(coalesce(worker_id, environment_id)) from run
    where execution_status = 'QUEUED' and available_at is null
    union all
    select (
        select min(coalesce(r.worker_id, r.environment_id)) from run r
        where r.execution_status = 'QUEUED' and r.available_at is null
        and coalesce(r.worker_id, r.environment_id) > pool.name
    )
    from pool where pool.name is not null
)
select min(queued_at) from (
    select (
        select r.queued_at from run r
        where coalesce(r.worker_id, r.environment_id) = pool.name
        and r.execution_status = 'QUEUED' and r.available_at is null
        order by r.position limit 1
    ) as queued_at
    from pool
) as firsts;

-- name: gauge_outbox
-- How many events wait to be published.
select count(*) from (select 1 from outbox limit :most) as waiting;

-- name: gauge_workers
-- How many worker instances were heard of since a moment.
select count(*) from worker_instance where last_seen_at >= :since;
