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

-- name: kept_answer_get
-- The answer somebody gets who repeats a request.
select answer from kept_answer
where owner = :owner and scope = :scope and token = :token and expires_at > :now;

-- name: kept_answer_put
-- Keep an answer; one that has not run out stays, and no row is touched.
insert into kept_answer (owner, scope, token, answer, expires_at)
values (:owner, :scope, :token, :answer, :expires_at)
on conflict (owner, scope, token) do update
set answer = excluded.answer, expires_at = excluded.expires_at
where kept_answer.expires_at <= :now;

-- name: kept_answers_to_reseal
-- Sealed answers that another key than the newest has sealed.
select {KeptAnswerRow} from kept_answer
where answer like 's1.%' and (answer < :first or answer >= :beyond);

-- name: kept_answer_reseal
-- The same answer, sealed anew.
update kept_answer set answer = :answer
where owner = :owner and scope = :scope and token = :token and answer = :before;
