-- name: log_insert
-- A line a run wrote.
insert into run_log ({LogRow}) values ({:LogRow});
