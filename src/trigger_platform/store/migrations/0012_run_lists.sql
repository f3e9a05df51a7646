-- Runs are listed by task, and apart from the many that ended well, without reading past the others.

create index run_of_task on run (environment_id, task, id);
create index run_live on run (environment_id, id) where completed_at is null;
create index run_failed on run (environment_id, id)
    where status in ('CANCELED', 'COMPLETED_WITH_ERRORS', 'CRASHED', 'EXPIRED', 'SYSTEM_FAILURE', 'TIMED_OUT');
