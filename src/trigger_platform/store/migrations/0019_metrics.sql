-- Data points of metrics that runs export; each is there once, known by a digest of what it says.

create table metric_point (
    id {serial},
    run_id text not null,
    number bigint not null,
    name text not null,
    kind text not null,
    unit text,
    started_ns bigint,
    time_ns bigint not null,
    value double precision,
    details text,
    attributes text,
    bytes integer not null,
    received_at bigint not null
);

create unique index metric_point_number on metric_point (run_id, number);
create index metric_point_time on metric_point (run_id, name, time_ns);
