-- name: log_insert
-- A line a run wrote.
insert into run_log (run_id, attempt, time, level, source, message, attributes)
values (:run_id, :attempt, :time, :level, :source, :message, :attributes);
