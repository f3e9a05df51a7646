-- name: request_get
-- The answer a repeated request gets.
select result from request_log where environment_id = :environment_id and scope = :scope and token = :token
    and created_at > :since;

-- name: request_put
-- Remember an answer; one that has not run out stays, and no row is touched.
insert into request_log (environment_id, scope, token, result, created_at)
values (:environment_id, :scope, :token, :result, :now)
on conflict (environment_id, scope, token) do update
set result = excluded.result, created_at = excluded.created_at
where request_log.created_at <= :since;

-- name: request_claim
-- Something that must happen once begins; no row is written when it happened before.
insert into request_log (environment_id, scope, token, result, created_at)
values (:environment_id, :scope, :token, '', :now)
on conflict (environment_id, scope, token) do nothing;
