-- The writes of the hot path: one statement for any number of rows, which come as one JSON array.

-- name: run_insert
-- New runs.
insert into run ({RunRow}) select {RunRow} from {rows RunRow};

-- name: run_transition
-- Move runs; those that somebody else moved first are not touched.
update run set {=each.RunMoveRow}
from {rows RunMoveRow, id text, expected_sequence bigint}
where run.id = each.id and run.sequence = each.expected_sequence;

-- name: run_output
-- Keep what runs returned.
update run set output = each.output from {rows id text, output text} where run.id = each.id;

-- name: run_extend_lease
-- Heartbeats.
update run set due_at = each.due_at from {rows id text, lease bigint, boot_id text, due_at bigint}
where run.id = each.id and run.lease = each.lease and run.boot_id = each.boot_id;

-- name: snapshot_insert
-- Transitions happened.
insert into execution_snapshot ({SnapshotRow}) select {SnapshotRow} from {rows SnapshotRow};

-- name: payload_insert
-- What runs were triggered with.
insert into payload ({PayloadRow}) select {PayloadRow} from {rows PayloadRow};

-- name: log_insert
-- Lines that runs wrote; those that are there already stay as they are.
insert into run_log ({LogRow}) select {LogRow} from {rows LogRow} on conflict do nothing;

-- name: outbox_insert
-- Things the rest of the server wants to hear about.
insert into outbox ({EventRow}) select {EventRow} from {rows EventRow};

-- name: outbox_take
-- Take what has not been published yet; what another process is taking is left to it.
with taken as materialized (select id from outbox order by id limit :limit{take})
delete from outbox using taken where outbox.id = taken.id
returning outbox.environment_id, outbox.subject_id;

-- name: signal_insert
-- A worker instance must be told.
insert into signal (boot_id, kind, run_id, lease, waitpoint_id)
select boot_id, kind, run_id, lease, waitpoint_id
from {rows boot_id text, kind text, run_id text, lease bigint, waitpoint_id text};

-- name: waitpoint_insert
-- Things to wait for.
insert into waitpoint ({WaitpointRow}) select {WaitpointRow} from {rows WaitpointRow};

-- name: waitpoint_complete
-- The first to complete a waitpoint wins.
update waitpoint set
    status = 'COMPLETED', completed_at = each.now, due_at = null,
    output = each.output, output_type = each.output_type, is_error = each.is_error
from {rows id text, output text, output_type text, is_error bigint, now bigint}
where waitpoint.id = each.id and waitpoint.status = 'PENDING';

-- name: edge_insert
-- Attempts wait for waitpoints.
insert into edge ({EdgeRow}) select {EdgeRow} from {rows EdgeRow} on conflict do nothing;

-- name: edge_deliver
-- Waits were delivered, each at a step of its run.
update edge set delivered = each.sequence
from {rows run_id text, attempt bigint, ref text, position bigint, sequence bigint}
where edge.run_id = each.run_id and edge.attempt = each.attempt
    and edge.ref = each.ref and edge.position = each.position;

-- name: batch_item_insert
-- What became of items; those that are there already stay as they are.
insert into batch_item ({BatchItemRow}) select {BatchItemRow} from {rows BatchItemRow} on conflict do nothing;

-- name: batch_settle
-- Runs of batches are final.
update batch set settled = batch.settled + each.settled from {rows id text, settled bigint}
where batch.id = each.id;

-- name: run_tag_insert
-- Runs can be found by their tags.
insert into run_tag ({RunTagRow}) select {RunTagRow} from {rows RunTagRow} on conflict do nothing;

-- name: stream_chunk_insert
-- What arrived in streams.
insert into stream_chunk ({StreamChunkRow}) select {StreamChunkRow} from {rows StreamChunkRow};
