-- name: table_bytes
-- How many bytes each table takes; a database that cannot tell has no answer.
select '' as name, 0 as count where 1 = 0;

-- name: table_rows
-- How many rows the tables have that grow.
select 'run' as name, count(*) as count from run
union all select 'payload', count(*) from payload
union all select 'execution_snapshot', count(*) from execution_snapshot
union all select 'waitpoint', count(*) from waitpoint
union all select 'edge', count(*) from edge
union all select 'run_log', count(*) from run_log
union all select 'span', count(*) from span
union all select 'metric_point', count(*) from metric_point
union all select 'telemetry', count(*) from telemetry
union all select 'batch', count(*) from batch
union all select 'batch_item', count(*) from batch_item
union all select 'checkpoint', count(*) from checkpoint
union all select 'debounce', count(*) from debounce
union all select 'request_log', count(*) from request_log
union all select 'kept_answer', count(*) from kept_answer
union all select 'revoked_token', count(*) from revoked_token
union all select 'blob', count(*) from blob
union all select 'bulk_action', count(*) from bulk_action
union all select 'bulk_action_run', count(*) from bulk_action_run
union all select 'run_tag', count(*) from run_tag
union all select 'stream', count(*) from stream
union all select 'stream_chunk', count(*) from stream_chunk
union all select 'stream_writer', count(*) from stream_writer
union all select 'stream_wait', count(*) from stream_wait
union all select 'outbox', count(*) from outbox;

-- name: old_runs
-- Runs that ended before a moment, from a place on.
select id, completed_at from run
where completed_at < :before and (completed_at, id) > (:at, :after)
order by completed_at, id
limit :limit;

-- name: removable_runs
-- Those of them that nobody needs: no child is left, nobody of the family lives, no key answers, no one waits.
select r.id, r.environment_id from run r
where r.id in (select value from {each :ids}) and r.execution_status = 'FINISHED'
    and (r.idempotency_key is null or r.idempotency_expires_at <= :now)
    and not exists (select 1 from run c where c.parent_id = r.id)
    and not exists (
        select 1 from run f where f.id in (r.parent_id, r.root_id) and f.execution_status <> 'FINISHED'
    )
    and not exists (select 1 from batch b where b.id = r.batch_id and b.completed_at is null)
    and not exists (
        select 1 from waitpoint w join edge e on e.waitpoint_id = w.id where w.run_id = r.id
    )
order by r.id{lock};

-- name: remove_logs_of_runs
-- Some of the lines of runs.
delete from run_log where id in (
    select id from run_log where run_id in (select value from {each :ids}) limit :limit
);

-- name: remove_spans_of_runs
-- Some of the spans of runs.
delete from span where id in (
    select id from span where run_id in (select value from {each :ids}) limit :limit
);

-- name: remove_points_of_runs
-- Some of the data points of runs.
delete from metric_point where id in (
    select id from metric_point where run_id in (select value from {each :ids}) limit :limit
);

-- name: remove_telemetry
-- How much runs had told.
delete from telemetry where run_id in (select value from {each :ids});
-- name: remove_stream_chunks
-- Some of what went through the streams of runs.
delete from stream_chunk where (run_id, name, position) in (
    select run_id, name, position from stream_chunk
    where run_id in (select value from {each :ids}) limit :limit
);

-- name: remove_streams
-- The streams themselves.
delete from stream where run_id in (select value from {each :ids});

-- name: remove_stream_writers
-- How far those got who wrote to them.
delete from stream_writer where run_id in (select value from {each :ids});

-- name: remove_stream_waits
-- Who waited for one of them.
delete from stream_wait where run_id in (select value from {each :ids});

-- name: remove_run_tags
-- By which tags runs are found.
delete from run_tag where (environment_id, tag, run_id) in (
    select r.environment_id, each.value, r.id from run r, {each r.tags}
    where r.id in (select value from {each :ids})
);

-- name: remove_payloads
-- What runs were triggered with.
delete from payload where run_id in (select value from {each :ids});

-- name: remove_snapshots
-- The history of runs.
delete from execution_snapshot where run_id in (select value from {each :ids});

-- name: remove_checkpoints
-- Where runs were put away.
delete from checkpoint where run_id in (select value from {each :ids});

-- name: remove_waitpoints_of_runs
-- The waitpoints of the ends of runs.
delete from waitpoint where run_id in (select value from {each :ids});

-- name: remove_events
-- What was never published of runs or batches.
delete from outbox where subject_id in (select value from {each :ids});

-- name: remove_runs
-- The runs themselves.
delete from run where id in (select value from {each :ids});

-- name: old_batches
-- Batches that were created before a moment, from a place on.
select id from batch where id > :after and created_at < :before order by id limit :limit;

-- name: removable_batches
-- Those of them that ended and have no run any more.
select b.id from batch b
where b.id in (select value from {each :ids}) and b.completed_at < :before
    and not exists (select 1 from run r where r.batch_id = b.id)
    and not exists (
        select 1 from waitpoint w join edge e on e.waitpoint_id = w.id where w.batch_id = b.id
    )
order by b.id{lock};

-- name: remove_batch_items
-- What became of the items of batches.
delete from batch_item where batch_id in (select value from {each :ids});

-- name: remove_waitpoints_of_batches
-- The waitpoints of the ends of batches.
delete from waitpoint where batch_id in (select value from {each :ids});

-- name: remove_batches
-- The batches themselves.
delete from batch where id in (select value from {each :ids});

-- name: old_waitpoints
-- Waitpoints that were created before a moment, from a place on.
select id from waitpoint where id > :after and created_at < :before order by id limit :limit;

-- name: remove_waitpoints
-- Those of them that are over, for which no key answers, and that stand for nothing that is there.
delete from waitpoint
where id in (select value from {each :ids}) and status = 'COMPLETED' and completed_at < :before
    and (key is null or key_expires_at <= :now)
    and not exists (select 1 from edge e where e.waitpoint_id = waitpoint.id)
    and not exists (select 1 from run r where r.id = waitpoint.run_id)
    and not exists (select 1 from batch b where b.id = waitpoint.batch_id);

-- name: oldest_logs
-- The lines that came first.
select id, time from run_log order by id limit :limit;

-- name: remove_logs
-- Some lines.
delete from run_log where id <= :last and time < :before;

-- name: oldest_spans
-- The spans that came first.
select id, received_at as time from span order by id limit :limit;

-- name: remove_spans
-- Some spans.
delete from span where id <= :last and received_at < :before;

-- name: oldest_points
-- The data points that came first.
select id, received_at as time from metric_point order by id limit :limit;

-- name: remove_points
-- Some data points.
delete from metric_point where id <= :last and received_at < :before;

-- name: requests_page
-- Remembered answers, from a place on.
select environment_id, scope, token from request_log
where (environment_id, scope, token) > (:environment_id, :scope, :token)
order by environment_id, scope, token
limit :limit;

-- name: remove_request
-- An answer that is not asked for any more.
delete from request_log
where environment_id = :environment_id and scope = :scope and token = :token and created_at < :before;

-- name: debounces_page
-- Debounce keys, from a place on.
select environment_id, task, key from debounce
where (environment_id, task, key) > (:environment_id, :task, :key)
order by environment_id, task, key
limit :limit;

-- name: remove_debounce
-- A key whose run collects no more.
delete from debounce
where environment_id = :environment_id and task = :task and key = :key
    and not exists (
        select 1 from run r where r.id = debounce.run_id and r.execution_status in ('DELAYED', 'RUN_CREATED')
    );

-- name: remove_revoked_tokens
-- Revoked tokens that have expired, some at a time.
delete from revoked_token where (environment_id, name) in (
    select environment_id, name from revoked_token where expires_at <= :now limit :limit
);

-- name: remove_kept_answers
-- Answers that nobody is given any more, some at a time.
delete from kept_answer where (owner, scope, token) in (
    select owner, scope, token from kept_answer where expires_at <= :now limit :limit
);
