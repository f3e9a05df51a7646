-- name: trace_run
-- A run, as its trace shows it.
select {TraceRunRow} from run
where id = :id and environment_id = :environment_id;

-- name: trace_children
-- The runs that some runs triggered; in no order, so that of a great many only the limit is read.
select {TraceRunRow} from run
where parent_id in (select value from {each :ids})
limit :limit;

-- name: trace_steps
-- The steps of runs.
select {SnapshotRow} from execution_snapshot
where run_id in (select value from {each :ids})
order by run_id, sequence
limit :limit;

-- name: trace_told
-- Which runs have told something, and of how many records nothing is kept.
select run_id as name, refused as count from telemetry
where run_id in (select value from {each :ids})
order by run_id;

-- name: trace_spans
-- The spans of a run, as they began; attributes and events that are long are left to whoever asks for the span.
select run_id, span_id, parent_id, name, started_ns, ended_ns, is_error, message,
    case when length(attributes) <= :longest then attributes end as attributes,
    case when length(events) <= :longest then events end as events
from span
where run_id = :run_id
order by started_ns
limit :limit;

-- name: trace_lines
-- The first lines of a run.
select run_id, attempt, time, level, source, substr(message, 1, 2048) as message,
    case when length(attributes) <= :longest then attributes end as attributes, span_id
from run_log
where run_id = :run_id
order by id
limit :limit;

-- name: span_of_run
-- One span with everything.
select {SpanRow} from span where run_id = :run_id and span_id = :span_id;
