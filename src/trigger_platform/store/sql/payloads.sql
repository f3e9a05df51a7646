-- name: payload_insert
-- What a run was triggered with.
insert into payload ({PayloadRow}) values ({:PayloadRow});

-- name: payload_of
-- The payload of a run.
select {PayloadRow} from payload where run_id = :run_id;

-- name: payloads_of
-- The payloads of runs; :ids is a JSON array.
select {PayloadRow} from payload where run_id in (select value from {each :ids});
