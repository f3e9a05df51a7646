-- name: snapshot_insert
-- A transition happened.
insert into execution_snapshot ({SnapshotRow}) values ({:SnapshotRow});

-- name: snapshots_brief
-- The steps of a run, without words.
select sequence, execution_status, run_status, attempt from execution_snapshot
where run_id = :run_id order by sequence;
