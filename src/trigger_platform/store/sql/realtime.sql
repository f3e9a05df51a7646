-- name: run_tag_insert
-- Runs can be found by a tag.
insert into run_tag ({RunTagRow}) values ({:RunTagRow}) on conflict do nothing;

-- name: run_tag_delete
-- A run is not found by a tag any more.
delete from run_tag where environment_id = :environment_id and tag = :tag and run_id = :run_id;

-- name: run_ids_by_tag
-- Runs of an environment that have a tag, oldest first.
select run_id as id from run_tag
where environment_id = :environment_id and tag = :tag and run_id > :after
order by run_id
limit :limit;

-- name: run_ids_by_batch
-- Runs of a batch, oldest first.
select id from run
where batch_id = :batch_id and environment_id = :environment_id and id > :after
order by id
limit :limit;

-- name: run_versions
-- How often runs have changed: every change counts in one of the two.
select id, environment_id, sequence + metadata_version as version, updated_at from run
where id in (select value from {each :ids});

-- name: run_versions_by_tags
-- The same of runs that have one of some tags, were created after a moment, and changed since another.
select r.id, r.environment_id, r.sequence + r.metadata_version as version, r.updated_at
from run_tag t join run r on r.id = t.run_id
where t.environment_id = :environment_id and t.tag in (select value from {each :tags})
    and t.run_id > :oldest and r.updated_at >= :since
limit :limit;

-- name: run_versions_by_batches
-- The same of runs of some batches.
select id, environment_id, sequence + metadata_version as version, updated_at from run
where batch_id in (select value from {each :batches}) and environment_id = :environment_id
    and updated_at >= :since
limit :limit;

-- name: streams_of
-- The streams that runs have; those the run reads itself have names that begin with a dollar sign.
select run_id, name from stream
where run_id in (select value from {each :ids}) and name not like '$%'
order by run_id, created_at, name;
