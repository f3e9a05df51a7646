-- name: worker_insert
-- A new version.
insert into worker (id, environment_id, version, content_hash, language, sdk_version, metadata, created_at)
values (:id, :environment_id, :version, :content_hash, :language, :sdk_version, :metadata, :now);

-- name: workers_current
-- The version that is current in each language.
select worker_id as id from current_worker where environment_id = :environment_id order by language;

-- name: worker_promote
-- Make a version the current one of its language.
insert into current_worker (environment_id, language, worker_id) values (:environment_id, :language, :worker_id)
on conflict (environment_id, language) do update set worker_id = excluded.worker_id;

-- name: workers_of_language_of
-- Those of some versions that are in the language of one; :ids is a JSON array.
select w.id from worker w join worker o on o.language = w.language
where o.id = :worker_id and w.id in (select value from {each :ids});

-- name: worker_by_id
-- A version by its id.
select {WorkerRow} from worker where id = :id;

-- name: worker_by_version
-- A version by its name.
select {WorkerRow} from worker
where environment_id = :environment_id and version = :version;

-- name: versions_by_id
-- Versions with all that was said of them; :ids is a JSON array.
select {VersionRow} from worker where id in (select value from {each :ids});

-- name: version_by_name
-- A version with all that was said of it, by its name.
select {VersionRow} from worker where environment_id = :environment_id and version = :version;

-- name: task_insert
-- A task of a version.
insert into worker_task ({TaskRow}) values ({:TaskRow});

-- name: task_of_worker
-- A task of a version.
select {TaskRow} from worker_task where worker_id = :worker_id and task = :task;

-- name: task_known
-- Whether any version of an environment ever had the task.
select 1 from worker_task t join worker w on w.id = t.worker_id
where w.environment_id = :environment_id and t.task = :task
limit 1;

-- name: instance_get
-- Who holds a seat.
select {InstanceRow} from worker_instance
where environment_id = :environment_id and name = :name;

-- name: instance_by_boot
-- The seat a process holds.
select {InstanceRow} from worker_instance
where environment_id = :environment_id and boot_id = :boot_id;

-- name: instance_newest
-- When a worker was last heard of.
select max(last_seen_at) from worker_instance where environment_id = :environment_id;

-- name: instance_newest_of
-- When a worker was last heard of that reads snapshots, or one that does not.
select max(last_seen_at) from worker_instance
where environment_id = :environment_id
    and case when boot_id like 'snapshots.%' then 1 else 0 end = :is_reader;

-- name: instance_seat
-- Take a seat.
insert into worker_instance (environment_id, name, boot_id, connected_at, last_seen_at)
values (:environment_id, :name, :boot_id, :now, :now)
on conflict (environment_id, name) do update
set boot_id = excluded.boot_id, connected_at = excluded.connected_at, last_seen_at = excluded.last_seen_at;

-- name: instance_seen
-- The process is alive; whoever else writes this down at the moment will do.
update worker_instance set last_seen_at = :now
where environment_id = :environment_id and name in (
    select name from worker_instance
    where environment_id = :environment_id and boot_id = :boot_id{take}
);
