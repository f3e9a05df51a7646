-- name: span_insert
-- Spans; one that is there goes on only from announced to ended.
insert into span ({SpanRow}) select {SpanRow} from {rows SpanRow}
on conflict (run_id, span_id) do update set {=excluded.SpanRow} where span.ended_ns is null;

-- name: point_insert
-- Data points of metrics; those that are there stay as they are.
insert into metric_point ({PointRow}) select {PointRow} from {rows PointRow} on conflict do nothing;

-- name: telemetry_add
-- How much runs have told.
insert into telemetry ({TelemetryRow}) select {TelemetryRow} from {rows TelemetryRow}
on conflict (run_id) do update set
    records = telemetry.records + excluded.records, bytes = telemetry.bytes + excluded.bytes,
    refused = telemetry.refused + excluded.refused;
