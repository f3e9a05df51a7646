-- name: run_metadata
-- Write metadata over the version that was read.
update run set metadata = :metadata, metadata_version = metadata_version + 1, updated_at = :now
where id = :id and metadata_version = :expected;

-- name: run_tags
-- Write tags; the version counts this change too, so that whoever follows the run sees it.
update run set tags = :tags, metadata_version = metadata_version + 1, updated_at = :now
where id = :id;
