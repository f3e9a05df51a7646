-- name: deployment_insert
-- A build was asked for.
insert into deployment ({DeploymentRow}) values ({:DeploymentRow});

-- name: deployment_any
-- A deployment, wherever it is.
select {DeploymentRow} from deployment where id = :id;

-- name: deployment_by_id
-- A deployment of an environment.
select {DeploymentRow} from deployment where id = :id and environment_id = :environment_id;

-- name: deployment_by_version
-- A deployment of an environment by the name of its version.
select {DeploymentRow} from deployment where environment_id = :environment_id and version = :version;

-- name: deployment_of_worker
-- The deployment that a version came with.
select {DeploymentRow} from deployment where worker_id = :worker_id and environment_id = :environment_id;

-- name: deployments_of_workers
-- The deployments that versions came with; :ids is a JSON array.
select {DeploymentRow} from deployment
where environment_id = :environment_id and worker_id in (select value from {each :ids});

-- name: deployment_move
-- A step of a deployment; no row is touched when somebody else took one first.
update deployment set
    status = :status, worker_id = :worker_id, image_reference = :image_reference, error = :error,
    due_at = :due_at, deployed_at = :deployed_at, ended_at = :ended_at
where id = :id and status = :expected;

-- name: deployments_deployed_as
-- Deployments that serve under the caller's own id.
select {DeploymentRow} from deployment
where environment_id = :environment_id and external_id = :external_id and status = 'DEPLOYED';

-- name: deployment_describe
-- What became known of a build on its way.
update deployment set content_hash = :content_hash, git = :git, runtime = :runtime where id = :id;

-- name: deployments_under_way
-- Builds under the caller's own id that have not ended.
select {DeploymentRow} from deployment
where environment_id = :environment_id and external_id = :external_id
    and status in ('PENDING', 'INSTALLING', 'BUILDING', 'DEPLOYING')
order by created_at, id;

-- name: deployment_latest_unmanaged
-- The newest deployment whose machines somebody else runs.
select {DeploymentRow} from deployment
where environment_id = :environment_id and type = 'UNMANAGED'
order by created_at desc, id desc
limit 1;

-- name: read_deployments
-- A page of deployments after one, newest first.
select {DeploymentRow} from deployment
where environment_id = :environment_id and created_at between :low and :high
    and (:statuses = '[]' or status in (select value from {each :statuses}))
    and (:after = '' or (created_at, id) < (
        select d.created_at, d.id from deployment d
        where d.id = :after and d.environment_id = :environment_id))
order by created_at desc, id desc
limit :limit;

-- name: read_deployments_newer
-- The page before.
select {DeploymentRow} from deployment
where environment_id = :environment_id and created_at between :low and :high
    and (:statuses = '[]' or status in (select value from {each :statuses}))
    and (created_at, id) > (
        select d.created_at, d.id from deployment d
        where d.id = :before and d.environment_id = :environment_id)
order by created_at, id
limit :limit;

-- name: deployments_due
-- Deployments that take too long.
select {DeploymentRow} from deployment where due_at <= :now order by due_at limit :limit;

-- name: deployment_next_due
-- When the next one takes too long.
select min(due_at) from deployment where due_at is not null;

-- name: versions_of_day
-- The versions of one day, built or registered; :day is like 20261124.%.
select version as name, 0 as count from worker
where environment_id = :environment_id and version like :day
union
select version, 0 from deployment
where environment_id = :environment_id and version like :day;

-- name: worker_queue_insert
-- A queue that a version declares.
insert into worker_queue ({WorkerQueueRow}) values ({:WorkerQueueRow});

-- name: queues_of_worker
-- The queues of a version.
select {WorkerQueueRow} from worker_queue where worker_id = :worker_id order by queue;

-- name: worker_has_queue
-- Whether a version has a queue.
select 1 from worker_queue where worker_id = :worker_id and queue = :queue;

-- name: worker_has
-- Whether a version has a task and a queue; a task's own queue is always there.
select 1 from worker_task t
where t.worker_id = :worker_id and t.task = :task
    and (
        :queue = 'task/' || t.task
        or exists (select 1 from worker_queue q where q.worker_id = t.worker_id and q.queue = :queue)
    );

-- name: runs_releasable
-- Runs that wait for any version that can take them, oldest first.
select {RunRow} from run
where environment_id = :environment_id and status = 'PENDING_VERSION'
    and coalesce(status_reason, '') <> 'EXTERNAL_DEPLOYMENT_PENDING'
    and (pinned = 0 or worker_id = :worker_id)
    and task in (select task from worker_task where worker_id = :worker_id)
    and (queue = 'task/' || task or queue in (select queue from worker_queue where worker_id = :worker_id))
order by position, id
limit :limit{lock};

-- name: runs_releasable_external
-- Runs that wait for one deployment of the caller's, oldest first.
select {RunRow} from run
where environment_id = :environment_id and status = 'PENDING_VERSION'
    and status_reason = 'EXTERNAL_DEPLOYMENT_PENDING' and external_deployment_id = :external_id
    and task in (select task from worker_task where worker_id = :worker_id)
    and (queue = 'task/' || task or queue in (select queue from worker_queue where worker_id = :worker_id))
order by position, id
limit :limit{lock};
