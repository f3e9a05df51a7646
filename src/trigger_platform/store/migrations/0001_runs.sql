-- Projects, workers, runs and everything a run's life needs.
-- Times are integer milliseconds since the epoch; JSON is text; booleans are 0 or 1.

create table setting (
    name text primary key,
    value text not null
);

create table project (
    id text primary key,
    ref text not null unique,
    name text not null,
    created_at bigint not null
);

create table environment (
    id text primary key,
    project_id text not null references project (id),
    slug text not null,
    type text not null,
    secret_key text not null unique,
    concurrency_limit integer not null,
    burst_factor real not null,
    paused integer not null default 0,
    default_ttl_ms bigint,
    current_worker_id text,
    created_at bigint not null,
    unique (project_id, slug)
);

create table access_token (
    id text primary key,
    token_hash text not null unique,
    name text not null,
    created_at bigint not null
);

-- One version of the user's code, as registered.
create table worker (
    id text primary key,
    environment_id text not null references environment (id),
    version text not null,
    content_hash text not null,
    sdk_version text not null,
    metadata text not null,
    created_at bigint not null,
    unique (environment_id, version)
);

create table worker_task (
    worker_id text not null references worker (id),
    task text not null,
    file_path text not null,
    line integer,
    description text,
    queue text not null,
    retry text,
    machine text,
    max_duration real,
    ttl_ms bigint,
    isolation text not null,
    payload_schema text,
    primary key (worker_id, task)
);

create table queue (
    environment_id text not null references environment (id),
    name text not null,
    id text not null unique,
    type text not null,
    concurrency_limit integer,
    paused integer not null default 0,
    created_at bigint not null,
    primary key (environment_id, name)
);

-- The process that holds a seat (one seat for `trigger dev`); its boot id owns the leases.
create table worker_instance (
    environment_id text not null references environment (id),
    name text not null,
    boot_id text not null,
    connected_at bigint not null,
    last_seen_at bigint not null,
    primary key (environment_id, name)
);

create table batch (
    id text primary key,
    environment_id text not null references environment (id),
    run_count integer not null,
    created_at bigint not null
);

-- The run is the queue: a row with execution_status QUEUED and no available_at can be claimed.
-- due_at is the one deadline of the present state: end of the delay, expiry, end of the back-off, or end of the lease.
create table run (
    id text primary key,
    environment_id text not null references environment (id),
    task text not null,
    status text not null,
    status_reason text,
    execution_status text not null,
    sequence integer not null,
    attempt integer not null default 0,
    max_attempts integer,
    delivery_failures integer not null default 0,
    queue text not null,
    concurrency_key text not null default '',
    position bigint not null,
    available_at bigint,
    due_at bigint,
    slot_held integer not null default 0,
    lease integer,
    boot_id text,
    worker_id text,
    version text,
    pinned integer not null default 0,
    retry text,
    machine text,
    max_duration real,
    priority_ms bigint not null default 0,
    delay_until bigint,
    ttl_ms bigint,
    created_at bigint not null,
    updated_at bigint not null,
    queued_at bigint,
    started_at bigint,
    attempt_started_at bigint,
    completed_at bigint,
    expired_at bigint,
    usage_ms bigint not null default 0,
    idempotency_key text,
    idempotency_expires_at bigint,
    idempotency_options text,
    parent_id text,
    root_id text,
    depth integer not null default 0,
    replay_of text,
    batch_id text,
    is_test integer not null default 0,
    tags text,
    metadata text,
    output_type text,
    error text,
    output text
);

create unique index run_idempotency on run (environment_id, task, idempotency_key)
    where idempotency_key is not null;
create index run_claim on run (environment_id, position)
    where execution_status = 'QUEUED' and available_at is null;
create index run_claim_by_queue on run (environment_id, queue, concurrency_key, position)
    where execution_status = 'QUEUED' and available_at is null;
create index run_resume on run (environment_id, position)
    where execution_status = 'QUEUED_EXECUTING';
create index run_slots on run (environment_id, queue, concurrency_key)
    where slot_held = 1;
create index run_due on run (due_at) where due_at is not null;
create index run_leases on run (boot_id) where boot_id is not null;
create index run_pending_version on run (environment_id, task)
    where status = 'PENDING_VERSION';
create index run_newest on run (environment_id, id);
create index run_children on run (parent_id) where parent_id is not null;
create index run_batch on run (batch_id) where batch_id is not null;

create table payload (
    run_id text primary key,
    type text not null,
    data text
);

create table execution_snapshot (
    run_id text not null,
    sequence integer not null,
    execution_status text not null,
    run_status text not null,
    attempt integer not null,
    description text not null,
    boot_id text,
    error text,
    created_at bigint not null,
    primary key (run_id, sequence)
) without rowid;

create table waitpoint (
    id text primary key,
    environment_id text not null,
    type text not null,
    status text not null,
    due_at bigint,
    output text,
    output_type text,
    is_error integer not null default 0,
    created_at bigint not null,
    completed_at bigint
);

create index waitpoint_due on waitpoint (due_at) where status = 'PENDING' and due_at is not null;

-- Which attempt of which run a waitpoint blocks.
create table edge (
    run_id text not null,
    attempt integer not null,
    waitpoint_id text not null,
    ref text not null,
    created_at bigint not null,
    primary key (run_id, attempt, waitpoint_id)
) without rowid;

create index edge_waitpoint on edge (waitpoint_id);

-- What is due but has no column of its own.
create table timer (
    kind text not null,
    subject_id text not null,
    due_at bigint not null,
    primary key (kind, subject_id)
);

create index timer_due on timer (due_at);

create table outbox (
    id integer primary key autoincrement,
    environment_id text not null,
    kind text not null,
    subject_id text not null,
    sequence integer not null,
    created_at bigint not null
);

create table run_log (
    id integer primary key autoincrement,
    run_id text not null,
    attempt integer not null,
    time bigint not null,
    level text not null,
    source text not null,
    message text not null,
    attributes text
);

create index run_log_run on run_log (run_id, id);

-- What a worker instance has yet to be told; a lost answer is made good by its next heartbeat.
create table signal (
    id integer primary key autoincrement,
    boot_id text not null,
    kind text not null,
    run_id text not null,
    lease integer not null,
    waitpoint_id text
);

create index signal_boot on signal (boot_id);

-- Answers to requests that may be repeated (header x-trigger-request-idempotency-key).
create table request_log (
    environment_id text not null,
    scope text not null,
    token text not null,
    result text not null,
    created_at bigint not null,
    primary key (environment_id, scope, token)
);
