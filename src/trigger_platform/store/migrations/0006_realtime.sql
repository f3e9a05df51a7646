-- What followers of runs need: runs by tag, and the streams that runs write and read.

-- The tags of runs once more, to find runs by them.
create table run_tag (
    environment_id text not null,
    tag text not null,
    run_id text not null,
    primary key (environment_id, tag, run_id)
){clustered};

insert into run_tag (environment_id, tag, run_id)
select run.environment_id, each.value, run.id from run, {each run.tags} where run.tags is not null;

-- A stream of a run: values in the order in which they arrived. Its row is the lock of its writers.
create table stream (
    run_id text not null,
    name text not null,
    length bigint not null default 0,
    bytes bigint not null default 0,
    created_at bigint not null,
    primary key (run_id, name)
){clustered};

create table stream_chunk (
    run_id text not null,
    name text not null,
    position bigint not null,
    data text not null,
    created_at bigint not null,
    primary key (run_id, name, position)
){clustered};

-- How far each writer of a stream got, so that it can resume after a broken connection.
create table stream_writer (
    run_id text not null,
    name text not null,
    client_id text not null,
    last_index bigint not null,
    primary key (run_id, name, client_id)
){clustered};

-- A waitpoint that is completed by a value of a stream: the one at a position.
create table stream_wait (
    waitpoint_id text primary key,
    run_id text not null,
    name text not null,
    position bigint not null
);

create index stream_wait_stream on stream_wait (run_id, name);
