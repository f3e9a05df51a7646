-- name: payload_insert
-- What a run was triggered with.
insert into payload (run_id, type, data) values (:run_id, :type, :data);

-- name: payload_of
-- The payload of a run.
select run_id, type, data from payload where run_id = :run_id;

-- name: payloads_of
-- The payloads of runs; :ids is a JSON array.
select run_id, type, data from payload where run_id in (select value from json_each(:ids));
