-- name: read_runs
-- A page of runs, newest first; empty filters match everything, lists are JSON arrays.
select {RunRow} from run
where environment_id = :environment_id
    and (:before = '' or id < :before)
    and (:statuses = '[]' or status in (select value from {each :statuses}))
    and (:tasks = '[]' or task in (select value from {each :tasks}))
    and (:versions = '[]' or version in (select value from {each :versions}))
    and (:tag = '' or exists (select 1 from {each run.tags} where value = :tag))
order by id desc
limit :limit;

-- name: read_runs_newer
-- The page before: the oldest of the runs that are newer than a cursor.
select {RunRow} from run
where environment_id = :environment_id
    and id > :after
    and (:statuses = '[]' or status in (select value from {each :statuses}))
    and (:tasks = '[]' or task in (select value from {each :tasks}))
    and (:versions = '[]' or version in (select value from {each :versions}))
    and (:tag = '' or exists (select 1 from {each run.tags} where value = :tag))
order by id
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
select id, attempt, time, level, source, message, attributes
from run_log
where run_id = :run_id and id > :after
order by id
limit :limit;

-- name: read_tasks
-- The tasks of a version.
select {TaskRow} from worker_task
where worker_id = :worker_id
order by task;
