-- name: runs_all
-- Every run, for the checker of invariants.
select {RunRow} from run order by id;

-- name: snapshots_all
-- Every step of every run, in order, for the checker of invariants.
select run_id, sequence, execution_status, attempt from execution_snapshot order by run_id, sequence;

-- name: edges_of_run
-- How many waits a run has.
select count(*) from edge where run_id = :run_id;
