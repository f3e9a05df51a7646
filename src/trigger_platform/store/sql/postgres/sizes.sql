-- name: table_bytes
-- How many bytes each table takes, with its indexes.
select c.relname as name, pg_total_relation_size(c.oid) as count
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r' and n.nspname = current_schema()
order by 2 desc, 1;
