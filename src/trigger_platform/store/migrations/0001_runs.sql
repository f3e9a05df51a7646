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
    burst_factor double precision not null,
    paused integer not null default 0,
    queue_size_limit integer,
    default_ttl_ms bigint,
    max_ttl_ms bigint,
    current_worker_id text,
    -- How much of the claiming this environment has had; the least served one is next.
    served bigint not null default 0,
    archived_at bigint,
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

-- Which queues a version declares; a run of an unknown queue waits for a version that has it. The limits count
-- from the moment on at which the version is current.
create table worker_queue (
    worker_id text not null references worker (id),
    queue text not null,
    type text not null,
    concurrency_limit integer,
    primary key (worker_id, queue)
){clustered};

-- An immutable build of the user's code, from the first request to build it until it serves runs.
create table deployment (
    id text primary key,
    environment_id text not null references environment (id),
    version text not null,
    short_code text not null,
    content_hash text not null,
    status text not null,
    worker_id text references worker (id),
    external_id text,
    image_reference text,
    git text,
    error text,
    due_at bigint,
    created_at bigint not null,
    deployed_at bigint,
    ended_at bigint,
    unique (environment_id, version)
);

create index deployment_due on deployment (due_at) where due_at is not null;
create index deployment_worker on deployment (worker_id) where worker_id is not null;
create index deployment_external on deployment (environment_id, external_id) where external_id is not null;

create table worker_task (
    worker_id text not null references worker (id),
    task text not null,
    file_path text not null,
    line integer,
    description text,
    queue text not null,
    retry text,
    machine text,
    max_duration double precision,
    ttl_ms bigint,
    isolation text not null,
    payload_schema text,
    trigger_source text not null default 'STANDARD',
    schedule text,
    primary key (worker_id, task)
);

create table queue (
    environment_id text not null references environment (id),
    name text not null,
    id text not null unique,
    type text not null,
    -- What counts: the override if there is one, else what the code declares (base_limit).
    concurrency_limit integer,
    base_limit integer,
    override_limit integer,
    override_percent double precision,
    overridden_at bigint,
    overridden_by text,
    paused integer not null default 0,
    -- The concurrency key that was served last: the next one is first in the next claim.
    last_key text not null default '',
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

-- Runs that are triggered together. Items arrive in any order; sealed means that all of them have.
create table batch (
    id text primary key,
    environment_id text not null references environment (id),
    status text not null,
    run_count integer not null,
    accepted integer not null default 0,
    settled integer not null default 0,
    failed integer not null default 0,
    parent_id text,
    parent_attempt integer,
    idempotency_key text,
    idempotency_expires_at bigint,
    seal_due_at bigint,
    sealed_at bigint,
    created_at bigint not null,
    completed_at bigint
);

create unique index batch_idempotency on batch (environment_id, idempotency_key)
    where idempotency_key is not null;
create index batch_seal_due on batch (seal_due_at) where seal_due_at is not null;

-- What became of each item: a run, or an error when none could be made.
create table batch_item (
    batch_id text not null references batch (id),
    position integer not null,
    task text not null,
    run_id text,
    is_cached integer not null default 0,
    error text,
    error_code text,
    primary key (batch_id, position)
){clustered};

-- The run is the queue: a row with execution_status QUEUED and no available_at can be claimed.
-- due_at is the one deadline of the present state: end of the delay, expiry, end of the back-off, or end of the lease.
create table run (
    id text primary key,
    environment_id text not null,
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
    anchor bigint not null,
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
    max_duration double precision,
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
    one_time_token text,
    parent_id text,
    root_id text,
    depth integer not null default 0,
    replay_of text,
    batch_id text,
    batch_position integer,
    schedule_id text,
    schedule_instance_id text,
    nominal_at bigint,
    external_deployment_id text,
    checkpoint_id text,
    annotations text,
    is_test integer not null default 0,
    tags text,
    seed_metadata text,
    metadata text,
    metadata_version integer not null default 0,
    output_type text,
    error text,
    output text
);

create unique index run_idempotency on run (environment_id, task, idempotency_key)
    where idempotency_key is not null;
create unique index run_one_time_token on run (one_time_token) where one_time_token is not null;
create unique index run_tick on run (schedule_instance_id, nominal_at) where schedule_instance_id is not null;
create index run_claim on run (environment_id, position)
    where execution_status = 'QUEUED' and available_at is null;
create index run_claim_by_queue on run (environment_id, queue, concurrency_key, position)
    where execution_status = 'QUEUED' and available_at is null;
create index run_resume on run (environment_id, queue, concurrency_key, position)
    where execution_status = 'QUEUED_EXECUTING';
create index run_slots on run (environment_id, queue, concurrency_key)
    where slot_held = 1;
create index run_due on run (due_at) where due_at is not null;
create index run_leases on run (boot_id) where boot_id is not null;
create index run_pending_version on run (environment_id, task)
    where status = 'PENDING_VERSION';
create index run_finished on run (completed_at) where completed_at is not null;
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
){clustered};

-- Where a run was suspended, so that it can go on elsewhere.
create table checkpoint (
    id text primary key,
    run_id text not null,
    sequence integer not null,
    kind text not null,
    location text not null,
    image_reference text,
    reason text,
    created_at bigint not null
);

create index checkpoint_run on checkpoint (run_id);

-- Something to wait for: a run's end, a moment, a token, a batch. A failure is a completion with is_error.
create table waitpoint (
    id text primary key,
    environment_id text not null,
    type text not null,
    status text not null,
    run_id text,
    batch_id text,
    key text,
    key_expires_at bigint,
    inactive_key text,
    due_at bigint,
    tags text,
    output text,
    output_type text,
    is_error integer not null default 0,
    created_at bigint not null,
    completed_at bigint
);

create index waitpoint_due on waitpoint (due_at) where status = 'PENDING' and due_at is not null;
create unique index waitpoint_run on waitpoint (run_id) where run_id is not null;
create unique index waitpoint_batch on waitpoint (batch_id) where batch_id is not null;
create unique index waitpoint_key on waitpoint (environment_id, key) where key is not null;
create index waitpoint_tokens on waitpoint (environment_id, id) where type = 'MANUAL';

-- Which attempt of which run a waitpoint blocks; ref is the worker's own name for the wait.
create table edge (
    run_id text not null,
    attempt integer not null,
    waitpoint_id text not null,
    position integer not null default -1,
    ref text not null,
    delivered integer not null default 0,
    created_at bigint not null,
    primary key (run_id, attempt, ref, position)
){clustered};

create index edge_waitpoint on edge (waitpoint_id);

-- The run that collects triggers of one debounce key.
create table debounce (
    environment_id text not null,
    task text not null,
    key text not null,
    run_id text not null,
    created_at bigint not null,
    primary key (environment_id, task, key)
){clustered};

-- A deduplication key counts within the environment that created the schedule.
create table schedule (
    id text primary key,
    project_id text not null references project (id),
    environment_id text not null references environment (id),
    type text not null,
    task text not null,
    deduplication_key text not null,
    is_user_key integer not null default 0,
    -- Five fields, a macro, or @every and a duration.
    expression text not null,
    timezone text not null,
    -- How long after its tick it may fire, such as 30m or 10%; null is the default of the environment.
    spread text,
    catch_up text not null,
    external_id text,
    active integer not null default 1,
    created_at bigint not null,
    updated_at bigint not null,
    unique (environment_id, deduplication_key)
);

-- A schedule in one environment: its next tick, nominal and as it will really fire. Nominal ticks only grow.
create table schedule_instance (
    id text primary key,
    schedule_id text not null references schedule (id),
    environment_id text not null references environment (id),
    next_nominal_at bigint,
    next_fire_at bigint,
    last_nominal_at bigint,
    -- The last tick that made no run, and why.
    skipped_at bigint,
    skip_reason text,
    created_at bigint not null,
    unique (schedule_id, environment_id)
);

create index schedule_instance_environment on schedule_instance (environment_id);
create index schedule_instance_due on schedule_instance (next_fire_at) where next_fire_at is not null;

-- What is due but has no column of its own.
create table timer (
    kind text not null,
    subject_id text not null,
    due_at bigint not null,
    primary key (kind, subject_id)
);

create index timer_due on timer (due_at);

create table outbox (
    id {serial},
    environment_id text not null,
    kind text not null,
    subject_id text not null,
    sequence integer not null,
    created_at bigint not null
);

create table run_log (
    id {serial},
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
    id {serial},
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
