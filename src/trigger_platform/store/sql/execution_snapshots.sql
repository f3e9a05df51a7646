-- name: snapshot_insert
-- A transition happened.
insert into execution_snapshot ({SnapshotRow}) values ({:SnapshotRow});

-- name: snapshots_since
-- The steps of a run after one, oldest first.
select {SnapshotRow} from execution_snapshot
where run_id = :run_id and sequence > :sequence order by sequence;

-- name: snapshots_brief
-- The steps of a run, without words.
select sequence, execution_status, run_status, attempt from execution_snapshot
where run_id = :run_id order by sequence;

-- name: attempt_began
-- The step that an attempt began with.
select min(sequence) from execution_snapshot where run_id = :run_id and attempt = :attempt;
