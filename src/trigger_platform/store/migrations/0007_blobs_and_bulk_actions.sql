-- Where large packets lie, and actions on many runs.

create table blob (
    environment_id text not null references environment (id),
    path text not null,
    -- What was uploaded; unknown until then, and for ever where clients upload elsewhere.
    type text,
    size bigint,
    created_at bigint not null,
    -- Since when nothing needs it: it is about to be removed from where it lies.
    removed_at bigint,
    primary key (environment_id, path)
){clustered};

create index blob_removed on blob (removed_at) where removed_at is not null;
create index payload_stored on payload (substr(data, 1, 1000)) where type = 'application/store';
create index run_stored on run (substr(output, 1, 1000)) where output_type = 'application/store';

-- Something that is done to many runs, slice by slice, from the newest of them to the oldest.
create table bulk_action (
    id text primary key,
    environment_id text not null references environment (id),
    name text,
    type text not null,
    status text not null,
    -- Which runs, as JSON: what a list of runs is filtered by, or ids.
    chosen text not null,
    -- The runs below this id are still to be looked at.
    below text not null,
    total integer not null,
    success integer not null default 0,
    failure integer not null default 0,
    created_at bigint not null,
    completed_at bigint
);

create index bulk_action_newest on bulk_action (environment_id, id);

-- The runs that an action canceled, and those it made.
create table bulk_action_run (
    bulk_action_id text not null references bulk_action (id),
    run_id text not null,
    primary key (bulk_action_id, run_id)
){clustered};

create index bulk_action_run_run on bulk_action_run (run_id);
