-- name: timer_set
-- Arm a timer; an armed one is moved.
insert into timer ({TimerRow}) values ({:TimerRow})
on conflict (kind, subject_id) do update set due_at = excluded.due_at;

-- name: timers_due
-- Timers that have come.
select {TimerRow} from timer where due_at <= :now order by due_at limit :limit{take};

-- name: timer_delete
-- The timer has done its work.
delete from timer where kind = :kind and subject_id = :subject_id;

-- name: timer_next_due
-- When the next timer is due.
select min(due_at) from timer;
