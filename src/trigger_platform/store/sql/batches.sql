-- name: batch_insert
-- Runs that will be triggered together.
insert into batch ({BatchRow}) values ({:BatchRow});

-- name: batch_by_id
-- A batch of an environment.
select {BatchRow} from batch where id = :id and environment_id = :environment_id;

-- name: batch_any
-- A batch, wherever it is.
select {BatchRow} from batch where id = :id;

-- name: batch_by_id_locked
-- A batch, taken: items are added by one at a time.
select {BatchRow} from batch where id = :id and environment_id = :environment_id{lock};

-- name: batch_by_key
-- The batch that answers for a key.
select {BatchRow} from batch
where environment_id = :environment_id and idempotency_key = :idempotency_key;

-- name: batch_adopt
-- Another attempt, or another run, waits for the items that are yet to come.
update batch set parent_id = :parent_id, parent_attempt = :parent_attempt where id = :id;

-- name: batch_clear_key
-- The key has run out.
update batch set idempotency_key = null where id = :id;

-- name: batch_accept
-- Items were added.
update batch set accepted = accepted + :accepted, settled = settled + :settled, failed = failed + :failed
where id = :id;

-- name: batch_settle
-- Runs of the batch are final.
update batch set settled = settled + :settled where id = :id;

-- name: batch_seal
-- All items are there.
update batch set sealed_at = :now, seal_due_at = null, status = 'PROCESSING'
where id = :id and status = 'PENDING';

-- name: batches_over
-- Sealed batches all of whose items are settled.
select {BatchRow} from batch
where id in (select value from {each :ids}) and status = 'PROCESSING' and settled >= run_count;

-- name: batch_complete
-- Everything is settled.
update batch set status = :status, completed_at = :now where id = :id;

-- name: batch_abort
-- The items did not come in time.
update batch set status = 'ABORTED', completed_at = :now, seal_due_at = null
where id = :id and sealed_at is null;

-- name: batches_due
-- Batches that should have been sealed by now.
select {BatchRow} from batch where seal_due_at <= :now order by seal_due_at limit :limit{take};

-- name: batch_next_due
-- When the next one must be sealed.
select min(seal_due_at) from batch where seal_due_at is not null;

-- name: batch_item_insert
-- What became of an item; one that is there already stays as it is.
insert into batch_item ({BatchItemRow}) values ({:BatchItemRow}) on conflict do nothing;

-- name: batch_items
-- What became of the items of a batch, in order; an item without a row of its own stands in its run.
select {BatchItemRow} from batch_item where batch_id = :batch_id
union all
select r.batch_id, r.batch_position, r.task, r.id, 0, null, null from run r
where r.batch_id = :batch_id and not exists (
    select 1 from batch_item i where i.batch_id = r.batch_id and i.position = r.batch_position
)
order by position;

-- name: batch_positions
-- Which items of a batch are there already.
select '' as name, position as count from batch_item where batch_id = :batch_id;

-- name: batch_recount
-- Settled is what is not open.
update batch set settled = accepted - (
    select count(*) from run where batch_id = batch.id and execution_status <> 'FINISHED'
)
where id = :id and status in ('PENDING', 'PROCESSING');
