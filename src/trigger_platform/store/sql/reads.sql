-- part: matches
-- Runs between two ids; empty filters match everything, lists are JSON arrays.
    id > :lower and id < :upper
    and (:statuses = '[]' or status in (select value from {each :statuses}))
    and (:tasks = '[]' or task in (select value from {each :tasks}))
    and (:versions = '[]' or version in (select value from {each :versions}))
    and (:queues = '[]' or queue in (select value from {each :queues}))
    and (:machines = '[]' or coalesce(machine, :default_machine) in (select value from {each :machines}))
    and (:batch = '' or batch_id = :batch)
    and (:schedule = '' or schedule_id = :schedule)
    and (:is_test = -1 or is_test = :is_test)
    and (:is_root = 0 or parent_id is null)
    and (:bulk_action = '' or exists (
        select 1 from bulk_action_run b where b.bulk_action_id = :bulk_action and b.run_id = run.id))
    and (:tags = '[]' or exists (
        select 1 from {each run.tags} where value in (select value from {each :tags})))

-- name: count_runs
-- How many runs there are.
select count(*) from run where environment_id = :environment_id and {part matches};

-- name: read_runs
-- A page of runs, newest first.
select {RunRow} from run
where environment_id = :environment_id
    and {part matches}
order by id desc
limit :limit;

-- name: read_runs_newer
-- A page of runs, newest first: the oldest of those that are newer than a cursor.
select {RunRow} from run
where environment_id = :environment_id
    and {part matches}
order by id
limit :limit;

-- name: read_runs_of_task
-- A page of the runs of one task.
select {RunRow} from run
where environment_id = :environment_id and task = :only
    and {part matches}
order by id desc
limit :limit;

-- name: read_runs_of_task_newer
-- A page of the runs of one task: the oldest of those that are newer than a cursor.
select {RunRow} from run
where environment_id = :environment_id and task = :only
    and {part matches}
order by id
limit :limit;

-- name: read_runs_of_batch
-- A page of the runs of one batch, by the batch's index: coalesce keeps SQLite from the environment's.
select {run.RunRow} from run
where batch_id = :only and coalesce(environment_id, '') = :environment_id
    and {part matches}
order by id desc
limit :limit;

-- name: read_runs_of_batch_newer
-- A page of the runs of one batch: the oldest of those that are newer than a cursor.
select {run.RunRow} from run
where batch_id = :only and coalesce(environment_id, '') = :environment_id
    and {part matches}
order by id
limit :limit;

-- name: read_runs_with_tag
-- A page of the runs that have one tag.
select {run.RunRow} from run join run_tag t on t.run_id = run.id
where t.environment_id = :environment_id and t.tag = :only and t.run_id > :lower and t.run_id < :upper
    and run.environment_id = :environment_id
    and {part matches}
order by t.run_id desc
limit :limit;

-- name: read_runs_with_tag_newer
-- A page of the runs that have one tag: the oldest of those that are newer than a cursor.
select {run.RunRow} from run join run_tag t on t.run_id = run.id
where t.environment_id = :environment_id and t.tag = :only and t.run_id > :lower and t.run_id < :upper
    and run.environment_id = :environment_id
    and {part matches}
order by t.run_id
limit :limit;

-- name: read_runs_that_live
-- A page of the runs that are not over.
select {RunRow} from run
where environment_id = :environment_id and completed_at is null
    and {part matches}
order by id desc
limit :limit;

-- name: read_runs_that_live_newer
-- A page of the runs that are not over: the oldest of those that are newer than a cursor.
select {RunRow} from run
where environment_id = :environment_id and completed_at is null
    and {part matches}
order by id
limit :limit;

-- name: read_runs_that_failed
-- A page of the runs that ended, but not well.
select {RunRow} from run
where environment_id = :environment_id
    and status in ('CANCELED', 'COMPLETED_WITH_ERRORS', 'CRASHED', 'EXPIRED', 'SYSTEM_FAILURE', 'TIMED_OUT')
    and {part matches}
order by id desc
limit :limit;

-- name: read_runs_that_failed_newer
-- A page of the runs that ended, but not well: the oldest of those that are newer than a cursor.
select {RunRow} from run
where environment_id = :environment_id
    and status in ('CANCELED', 'COMPLETED_WITH_ERRORS', 'CRASHED', 'EXPIRED', 'SYSTEM_FAILURE', 'TIMED_OUT')
    and {part matches}
order by id
limit :limit;

-- name: run_ids_below
-- Some of the newest runs between two ids, whatever they are.
select id from run
where environment_id = :environment_id and id > :lower and id < :upper
order by id desc
limit :limit;

-- name: read_children
-- The runs a run triggered.
select {RunRow} from run
where parent_id = :parent_id
order by id
limit :limit;

-- name: read_snapshots
-- The steps of a run.
select sequence, execution_status, run_status, attempt, description, error, created_at
from execution_snapshot
where run_id = :run_id
order by sequence;

-- name: read_logs
-- What a run wrote, after a line.
select id, attempt, time, level, source, message, attributes, span_id
from run_log
where run_id = :run_id and id > :after
order by id
limit :limit;

-- name: read_tasks
-- The tasks of a version.
select {TaskRow} from worker_task
where worker_id = :worker_id
order by task;

-- name: read_tokens
-- A page of waitpoint tokens, newest first.
select {WaitpointRow} from waitpoint
where environment_id = :environment_id and type = 'MANUAL'
    and (:before = '' or id < :before)
    and (:key = '' or key = :key or inactive_key = :key)
    and (:statuses = '[]' or (
        case when status = 'PENDING' then 'WAITING' when is_error = 1 then 'TIMED_OUT' else 'COMPLETED' end
    ) in (select value from {each :statuses}))
    and (:tags = '[]' or exists (
        select 1 from {each waitpoint.tags} where value in (select value from {each :tags})
    ))
order by id desc
limit :limit;

-- name: read_tokens_newer
-- The page before.
select {WaitpointRow} from waitpoint
where environment_id = :environment_id and type = 'MANUAL'
    and id > :after
    and (:key = '' or key = :key or inactive_key = :key)
    and (:statuses = '[]' or (
        case when status = 'PENDING' then 'WAITING' when is_error = 1 then 'TIMED_OUT' else 'COMPLETED' end
    ) in (select value from {each :statuses}))
    and (:tags = '[]' or exists (
        select 1 from {each waitpoint.tags} where value in (select value from {each :tags})
    ))
order by id
limit :limit;
