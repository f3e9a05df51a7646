-- name: log_insert
-- Lines a run wrote; one that is there already stays as it is.
insert into run_log ({LogRow}) values ({:LogRow}) on conflict do nothing;
