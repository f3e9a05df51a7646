-- name: setting_get
-- A named value.
select value from setting where name = :name;

-- name: setting_set
-- Keep a named value.
insert into setting (name, value) values (:name, :value)
on conflict (name) do update set value = excluded.value;

-- name: project_by_ref
-- A project by its reference.
select {ProjectRow} from project where ref = :ref and deleted_at is null;

-- name: project_by_id
-- A project by its id.
select {ProjectRow} from project where id = :id;

-- name: project_insert
-- A new project.
insert into project (id, ref, name, organization_id, slug, created_at)
values (:id, :ref, :name, :organization_id, :slug, :now);

-- name: environment_insert
-- A new environment.
insert into environment (
    id, project_id, slug, type, secret_key_hash, secret_key_sealed, concurrency_limit, burst_factor,
    default_ttl_ms, created_at
) values (
    :id, :project_id, :slug, :type, :secret_key_hash, :secret_key_sealed, :concurrency_limit, :burst_factor,
    :default_ttl_ms, :now
);

-- name: environment_belongs
-- Whose an environment is, or whose branch.
update environment set owner_id = :owner_id, parent_id = :parent_id, branch = :branch, updated_at = :now
where id = :id;

-- name: environment_by_key
-- The environment a secret key opens.
select {EnvironmentRow} from environment where secret_key_hash = :secret_key_hash and archived_at is null;

-- name: environments_in_plain
-- Those whose key an earlier version kept as it is; the column was renamed since.
select {PlainKeyRow} from environment where secret_key_sealed is null;

-- name: environments_sealed
-- Whether any key is sealed.
select id from environment where secret_key_sealed is not null limit 1;

-- name: environment_seal
-- Keep the key's hash and the sealed key in its place.
update environment set secret_key_hash = :secret_key_hash, secret_key_sealed = :secret_key_sealed
where id = :id and secret_key_sealed is null;

-- name: environments_to_reseal
-- Keys that another key than the newest has sealed, after an environment.
select {SealedKeyRow} from environment
where id > :after and (secret_key_sealed < :first or secret_key_sealed >= :beyond)
order by id limit :limit;

-- name: environment_reseal
-- The same key, sealed anew, unless it is another one by now.
update environment set secret_key_sealed = :sealed where id = :id and secret_key_sealed = :before;

-- name: environment_branch
-- A branch of an environment.
select {EnvironmentRow} from environment where parent_id = :parent_id and branch = :branch;

-- name: environment_of_type
-- The environment of a type that all members of a project share.
select {EnvironmentRow} from environment
where project_id = :project_id and type = :type and parent_id is null and owner_id is null;

-- name: environment_of_owner
-- A user's own environment of development.
select {EnvironmentRow} from environment
where project_id = :project_id and owner_id = :owner_id and parent_id is null;

-- name: environment_by_id
-- An environment by its id.
select {EnvironmentRow} from environment where id = :id;

-- name: environment_lock
-- Take an environment: who counts its slots does so alone.
select {EnvironmentRow} from environment where id = :id{lock};

-- name: environment_by_slug
-- An environment of a project.
select {EnvironmentRow} from environment where project_id = :project_id and slug = :slug;

-- name: environment_limits
-- How much an environment may do at once, and how much may wait in one of its queues.
update environment set
    concurrency_limit = :concurrency_limit,
    burst_factor = :burst_factor,
    queue_size_limit = :queue_size_limit
where id = :id;

-- name: environment_pause
-- Stop or let go on what has not started.
update environment set paused = :paused where id = :id;

-- name: environment_promote
-- Make a version the current one.
update environment set current_worker_id = :worker_id where id = :id;

-- name: environment_archive
-- Take an environment out of service, or back into it.
update environment set archived_at = :archived_at where id = :id;
