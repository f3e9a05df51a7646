-- name: runs_telling
-- Runs that records name, with their environments and how much they have told.
select r.id, r.environment_id, r.worker_id, e.type as environment_type, e.parent_id, e.secrets_version,
    r.attempt, r.completed_at,
    coalesce(t.records, 0) as records, coalesce(t.bytes, 0) as bytes
from run r
join environment e on e.id = r.environment_id
left join telemetry t on t.run_id = r.id
where r.id in (select value from {each :ids});

-- name: spans_known
-- Which of some spans are there.
select run_id, span_id, ended_ns from span
where run_id in (select value from {each :runs}) and span_id in (select value from {each :spans});

-- name: lines_known
-- Which of some exported lines are there.
select run_id, number from run_log
where run_id in (select value from {each :runs}) and lease = 0
    and number in (select cast(value as bigint) from {each :numbers});

-- name: span_insert
-- Spans; one that is there goes on only from announced to ended.
insert into span ({SpanRow}) values ({:SpanRow})
on conflict (run_id, span_id) do update set {=excluded.SpanRow} where span.ended_ns is null;

-- name: points_known
-- Which of some data points are there.
select run_id, number from metric_point
where run_id in (select value from {each :runs})
    and number in (select cast(value as bigint) from {each :numbers});

-- name: point_insert
-- Data points of metrics; those that are there stay as they are.
insert into metric_point ({PointRow}) values ({:PointRow}) on conflict do nothing;

-- name: points_of_run
-- The data points of a run, or those of one metric, in the order of their moments.
select {PointRow} from metric_point
where run_id = :run_id and (:name = '' or name = :name)
order by name, time_ns, id
limit :limit;

-- name: telemetry_add
-- How much runs have told.
insert into telemetry ({TelemetryRow}) values ({:TelemetryRow})
on conflict (run_id) do update set
    records = telemetry.records + excluded.records, bytes = telemetry.bytes + excluded.bytes,
    refused = telemetry.refused + excluded.refused;
