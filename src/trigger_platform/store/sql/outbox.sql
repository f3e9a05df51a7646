-- name: outbox_insert
-- Something the rest of the server wants to hear about.
insert into outbox ({EventRow}) values ({:EventRow});

-- name: outbox_take
-- Take what has not been published yet, oldest first.
delete from outbox where id in (select id from outbox order by id limit :limit)
returning environment_id, subject_id;
