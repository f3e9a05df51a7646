-- name: outbox_insert
-- Something the rest of the server wants to hear about.
insert into outbox (environment_id, kind, subject_id, sequence, created_at)
values (:environment_id, :kind, :subject_id, :sequence, :created_at);
