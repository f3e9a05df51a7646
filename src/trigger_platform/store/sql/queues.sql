-- name: queue_upsert
-- A queue as code declares it; pause and override are the operators' business, not the code's.
insert into queue (environment_id, name, id, type, concurrency_limit, base_limit, created_at)
values (:environment_id, :name, :id, :type, :concurrency_limit, :concurrency_limit, :now)
on conflict (environment_id, name) do update set
    base_limit = excluded.base_limit,
    concurrency_limit = case
        when queue.overridden_at is null then excluded.base_limit else queue.concurrency_limit
    end;

-- name: queues_limited
-- Queues that hold runs back: those with a limit and those that are paused.
select {QueueRow} from queue
where environment_id = :environment_id and (concurrency_limit is not null or paused = 1);
