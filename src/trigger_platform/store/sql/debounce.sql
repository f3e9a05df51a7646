-- name: debounce_claim
-- The first trigger of a key; no row is written when the key is there already.
insert into debounce ({DebounceRow}) values ({:DebounceRow})
on conflict (environment_id, task, key) do nothing;

-- name: debounce_get
-- Which run collects the triggers of a key.
select {DebounceRow} from debounce
where environment_id = :environment_id and task = :task and key = :key;

-- name: debounce_get_locked
-- The same, taken: whoever decides about the key comes one after the other.
select {DebounceRow} from debounce
where environment_id = :environment_id and task = :task and key = :key{lock};

-- name: debounce_hand_over
-- Another run collects the triggers of the key from now on.
update debounce set run_id = :run_id, created_at = :created_at
where environment_id = :environment_id and task = :task and key = :key;

-- name: debounce_forget
-- The run collects no more.
delete from debounce
where environment_id = :environment_id and task = :task and key = :key and run_id = :run_id;

-- name: run_take_over
-- The newest trigger's data replaces that of the first.
update run set
    tags = :tags,
    seed_metadata = :seed_metadata,
    metadata = :metadata,
    metadata_version = :metadata_version,
    max_attempts = :max_attempts,
    max_duration = :max_duration,
    machine = :machine,
    updated_at = :updated_at
where id = :id;

-- name: payload_replace
-- The newest trigger's payload replaces that of the first.
update payload set type = :type, data = :data where run_id = :run_id;
