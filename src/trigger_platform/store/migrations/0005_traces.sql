-- What a run tells about itself: lines, each written once however often it is reported, and spans.

-- The worker's own number of a line under a lease, or a digest of what was exported.
alter table run_log add column lease integer not null default 0;
alter table run_log add column number bigint;
-- The span in which the line was written.
alter table run_log add column span_id text;

create unique index run_log_number on run_log (run_id, lease, number) where number is not null;

-- A span of the user's code; the platform's own are derived from the rows of the run. Moments in ns.
-- A span without an end is announced: its final form replaces it.
create table span (
    id {serial},
    run_id text not null,
    span_id text not null,
    trace_id text not null,
    parent_id text,
    name text not null,
    started_ns bigint not null,
    ended_ns bigint,
    is_error integer not null default 0,
    message text,
    attributes text,
    events text,
    links text,
    bytes integer not null,
    received_at bigint not null
);

create unique index span_identity on span (run_id, span_id);
create index span_start on span (run_id, started_ns);

-- How much a run has told over OTLP, and how much was refused because it was too much.
create table telemetry (
    run_id text primary key,
    records bigint not null,
    bytes bigint not null,
    refused bigint not null
){clustered};
