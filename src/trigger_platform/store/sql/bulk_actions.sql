-- name: bulk_action_insert
-- Something is to be done to many runs.
insert into bulk_action ({BulkActionRow}) values ({:BulkActionRow});

-- name: bulk_action_by_id
-- An action of an environment.
select {BulkActionRow} from bulk_action where id = :id and environment_id = :environment_id;

-- name: bulk_action_locked
-- An action, wherever it is, taken: its slices come one after the other.
select {BulkActionRow} from bulk_action where id = :id{lock};

-- name: bulk_action_advance
-- A slice was done.
update bulk_action
set below = :below, success = success + :success, failure = failure + :failure,
    status = :status, completed_at = :completed_at
where id = :id;

-- name: bulk_action_abort
-- Nothing more is to be done.
update bulk_action set status = 'ABORTED', completed_at = :now where id = :id and status = 'PENDING';

-- name: bulk_action_run_insert
-- A run that was canceled or made by an action.
insert into bulk_action_run (bulk_action_id, run_id) values (:bulk_action_id, :run_id) on conflict do nothing;

-- name: bulk_actions_older
-- A page of actions, newest first.
select {BulkActionRow} from bulk_action
where environment_id = :environment_id and (:upper = '' or id < :upper)
order by id desc
limit :limit;

-- name: bulk_actions_newer
-- The page before.
select {BulkActionRow} from bulk_action
where environment_id = :environment_id and id > :lower
order by id
limit :limit;

-- name: old_bulk_actions
-- Actions that ended before a moment, from a place on.
select id from bulk_action where id > :after and completed_at < :before order by id limit :limit;

-- name: remove_bulk_action_runs
-- Which runs they were done to.
delete from bulk_action_run where bulk_action_id in (select value from {each :ids});

-- name: remove_bulk_actions
-- The actions themselves.
delete from bulk_action where id in (select value from {each :ids});
