-- name: blob_expect
-- Something will be uploaded; what is about to be removed is left alone, and no row is touched.
insert into blob (environment_id, path, created_at) values (:environment_id, :path, :now)
on conflict (environment_id, path) do update set created_at = excluded.created_at, size = null
where blob.removed_at is null;

-- name: blob_uploaded
-- It was uploaded.
update blob set type = :type, size = :size
where environment_id = :environment_id and path = :path and removed_at is null;

-- name: blob_find
-- A blob that is not about to be removed.
select {BlobRow} from blob
where environment_id = :environment_id and path = :path and removed_at is null;

-- name: runs_that_have_packet
-- The runs whose payload or output is a packet, newest first.
select {RunRow} from run
where environment_id = :environment_id and id in (
    select p.run_id from payload p
    where p.type = 'application/store' and substr(p.data, 1, 1000) = :path
    union all
    select r.id from run r
    where r.output_type = 'application/store' and substr(r.output, 1, 1000) = :path
)
order by id desc
limit :limit;

-- name: blobs_page
-- Blobs, from a place on.
select environment_id, path from blob
where (environment_id, path) > (:environment_id, :path)
order by environment_id, path
limit :limit;

-- name: blob_let_go
-- A blob that is old enough and that no payload and no output names is to be removed.
update blob set removed_at = :now
where environment_id = :environment_id and path = :path and created_at < :before and removed_at is null
    and not exists (
        select 1 from payload p join run r on r.id = p.run_id
        where p.type = 'application/store' and substr(p.data, 1, 1000) = blob.path
            and r.environment_id = blob.environment_id
    )
    and not exists (
        select 1 from run r
        where r.output_type = 'application/store' and substr(r.output, 1, 1000) = blob.path
            and r.environment_id = blob.environment_id
    );

-- name: blobs_let_go
-- Blobs that are to be removed from where they lie.
select {BlobRow} from blob where removed_at is not null order by removed_at limit :limit;

-- name: blob_forget
-- It lies there no more.
delete from blob where environment_id = :environment_id and path = :path and removed_at is not null;

-- name: blobs_unmeasured
-- Blobs that can no longer be uploaded and whose size nobody has looked at, oldest first, from a place on.
select {BlobRow} from blob
where size is null and removed_at is null and created_at < :before
    and (created_at, environment_id, path) > (:created_at, :environment_id, :path)
order by created_at, environment_id, path
limit :limit;

-- name: blob_measured
-- How large it is that a client uploaded elsewhere.
update blob set size = :size
where environment_id = :environment_id and path = :path and created_at = :created_at;

-- name: blob_refused
-- It is larger than it may be, and to be removed.
update blob set size = :size, removed_at = :now
where environment_id = :environment_id and path = :path and removed_at is null;
