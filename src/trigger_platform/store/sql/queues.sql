-- name: queue_upsert
-- A queue as code declares it; its pause is not code's business.
insert into queue (environment_id, name, id, type, concurrency_limit, created_at)
values (:environment_id, :name, :id, :type, :concurrency_limit, :now)
on conflict (environment_id, name) do update set concurrency_limit = excluded.concurrency_limit;

-- name: queues_limited
-- Queues that hold runs back: those with a limit and those that are paused.
select environment_id, name, id, type, concurrency_limit, paused from queue
where environment_id = :environment_id and (concurrency_limit is not null or paused = 1);
