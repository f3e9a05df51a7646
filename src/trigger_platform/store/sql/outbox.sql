-- name: outbox_insert
-- Something the rest of the server wants to hear about.
insert into outbox (environment_id, kind, subject_id, sequence, created_at)
values (:environment_id, :kind, :subject_id, :sequence, :created_at);

-- name: outbox_oldest
-- What has not been published yet.
select id, environment_id, kind, subject_id from outbox order by id limit :limit;

-- name: outbox_delete
-- It has been published.
delete from outbox where id <= :last;
