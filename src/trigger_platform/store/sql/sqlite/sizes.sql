-- name: table_bytes
-- How many bytes each table takes, with its indexes.
select m.tbl_name as name, sum(s.pgsize) as count
from dbstat s join sqlite_master m on m.name = s.name
group by m.tbl_name
order by 2 desc, 1;
