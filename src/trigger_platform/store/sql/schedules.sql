-- name: schedule_insert
-- A new schedule; nothing happens when the key is taken.
insert into schedule ({ScheduleRow}) values ({:ScheduleRow})
on conflict (environment_id, deduplication_key) do nothing;

-- name: schedule_update
-- What may change about a schedule.
update schedule set
    task = :task,
    expression = :expression,
    timezone = :timezone,
    spread = :spread,
    catch_up = :catch_up,
    external_id = :external_id,
    updated_at = :updated_at
where id = :id;

-- name: schedule_activate
-- Let a schedule fire, or not.
update schedule set active = :active, updated_at = :now where id = :id;

-- name: schedule_delete
-- Remove a schedule; its instances go first.
delete from schedule where id = :id;

-- name: schedule_by_id
-- A schedule by its id.
select {ScheduleRow} from schedule where id = :id;

-- name: schedule_of_environment
-- A schedule by its id, if it runs in an environment.
select {s.ScheduleRow} from schedule s join schedule_instance i on i.schedule_id = s.id
where s.id = :id and i.environment_id = :environment_id;

-- name: schedule_by_key
-- A schedule by its deduplication key.
select {ScheduleRow} from schedule
where environment_id = :environment_id and deduplication_key = :deduplication_key;

-- name: schedules_declared
-- The schedules that code declares in an environment.
select {ScheduleRow} from schedule
where environment_id = :environment_id and type = 'DECLARATIVE'
order by id;

-- name: schedules_page
-- The schedules of an environment, oldest first.
select {s.ScheduleRow} from schedule s join schedule_instance i on i.schedule_id = s.id
where i.environment_id = :environment_id
order by s.id
limit :limit offset :offset;

-- name: schedules_count
-- How many schedules an environment has.
select count(*) from schedule_instance where environment_id = :environment_id;

-- name: schedule_instance_insert
-- A schedule comes to an environment.
insert into schedule_instance ({ScheduleInstanceRow}) values ({:ScheduleInstanceRow})
on conflict (schedule_id, environment_id) do nothing;

-- name: schedule_instance_get
-- A schedule in an environment.
select {ScheduleInstanceRow} from schedule_instance
where schedule_id = :schedule_id and environment_id = :environment_id;

-- name: schedule_instance_take
-- The same, held: its next tick is about to be set.
select {ScheduleInstanceRow} from schedule_instance
where schedule_id = :schedule_id and environment_id = :environment_id{lock};

-- name: schedule_instances_of
-- A schedule in all its environments.
select {ScheduleInstanceRow} from schedule_instance where schedule_id = :schedule_id order by id;

-- name: schedule_instances_delete
-- A schedule leaves all its environments.
delete from schedule_instance where schedule_id = :schedule_id;

-- name: schedule_instance_set_next
-- Set the next tick.
update schedule_instance set next_nominal_at = :next_nominal_at, next_fire_at = :next_fire_at
where id = :id;

-- name: schedule_instance_advance
-- Go on to the next tick; no row is touched when somebody else has done so first.
update schedule_instance set
    next_nominal_at = :next_nominal_at,
    next_fire_at = :next_fire_at,
    last_nominal_at = :last_nominal_at,
    skipped_at = :skipped_at,
    skip_reason = :skip_reason
where id = :id and next_nominal_at = :expected;

-- name: schedule_instances_due
-- Ticks that have come.
select {ScheduleInstanceRow} from schedule_instance
where next_fire_at <= :now
order by next_fire_at, id
limit :limit{take};

-- name: schedule_next_due
-- When the next tick comes.
select min(next_fire_at) from schedule_instance where next_fire_at is not null;

-- name: schedule_instances_stopped
-- Schedules of an environment that wait for no tick.
select {ScheduleInstanceRow} from schedule_instance
where environment_id = :environment_id and next_fire_at is null
order by id;
