-- name: stream_insert
-- A run has a stream; one that is there stays as it is.
insert into stream (run_id, name, length, bytes, created_at) values (:run_id, :name, 0, 0, :now)
on conflict do nothing;

-- name: stream_locked
-- A stream, taken: its writers follow each other.
select {StreamRow} from stream where run_id = :run_id and name = :name{lock};

-- name: stream_get
-- A stream.
select {StreamRow} from stream where run_id = :run_id and name = :name;

-- name: stream_grow
-- A stream has become longer.
update stream set length = :length, bytes = :bytes where run_id = :run_id and name = :name;

-- name: stream_chunk_insert
-- What arrived.
insert into stream_chunk ({StreamChunkRow}) values ({:StreamChunkRow});

-- name: stream_chunks
-- What arrived from a position on.
select {StreamChunkRow} from stream_chunk
where run_id = :run_id and name = :name and position >= :position
order by position
limit :limit;

-- name: stream_writer_get
-- How far a writer got.
select last_index from stream_writer
where run_id = :run_id and name = :name and client_id = :client_id;

-- name: stream_writer_set
-- A writer got further.
insert into stream_writer (run_id, name, client_id, last_index)
values (:run_id, :name, :client_id, :last_index)
on conflict (run_id, name, client_id) do update set last_index = excluded.last_index;

-- name: stream_wait_insert
-- A waitpoint is completed by the value at a position.
insert into stream_wait (waitpoint_id, run_id, name, position)
values (:waitpoint_id, :run_id, :name, :position)
on conflict do nothing;

-- name: stream_waits_take
-- The waitpoints that the values up to a position complete.
delete from stream_wait where run_id = :run_id and name = :name and position <= :position
returning waitpoint_id, position;

-- name: run_touch
-- Something that is shown of a run changed; the version counts it, so that whoever follows the run sees it.
update run set metadata_version = metadata_version + 1, updated_at = :now where id = :id;
