-- The invariants I1-I12 (engine 9.5), each as one query that returns what breaks it. All of them look at the
-- subjects from :low to :high only, so that a large database is checked slice by slice.

-- name: slice_of_runs
-- The next runs to check.
select coalesce(min(id), '') as low, coalesce(max(id), '') as high
from (select id from run where id > :after order by id limit :size) as slice;

-- name: slice_of_batches
-- The next batches to check.
select coalesce(min(id), '') as low, coalesce(max(id), '') as high
from (select id from batch where id > :after order by id limit :size) as slice;

-- name: slice_of_environments
-- The next environments to check.
select coalesce(min(id), '') as low, coalesce(max(id), '') as high
from (select id from environment where id > :after order by id limit :size) as slice;

-- name: check_final_runs
-- I1: a final run holds nothing, waits for nothing, and has been told of.
select r.id as subject, 'it is final and still has a slot, a lease, a deadline or a pause' as what
from run r
where r.id between :low and :high and r.execution_status = 'FINISHED'
    and (r.slot_held = 1 or r.boot_id is not null or r.due_at is not null or r.available_at is not null)
union all
select r.id, 'it is final and its waits are not forgotten'
from run r
where r.id between :low and :high and r.execution_status = 'FINISHED'
    and exists (select 1 from edge e where e.run_id = r.id)
union all
select r.id, 'it is final and its waitpoint is pending'
from run r join waitpoint w on w.run_id = r.id
where r.id between :low and :high and r.execution_status = 'FINISHED' and w.status = 'PENDING'
union all
select r.id, 'it is FINISHED with the status ' || r.status
from run r
where r.id between :low and :high and r.execution_status = 'FINISHED'
    and r.status not in (select value from {each :final})
union all
select r.id, 'its status ' || r.status || ' is final and it is ' || r.execution_status
from run r
where r.id between :low and :high and r.execution_status not in ('FINISHED', 'PENDING_CANCEL')
    and r.status in (select value from {each :final});

-- name: check_slots_follow_states
-- I2: a run holds a slot exactly in the states that hold one; one that is being canceled keeps what it had.
select r.id as subject, 'it is ' || r.execution_status || ' and slot_held is ' || r.slot_held as what
from run r
where r.id between :low and :high and r.execution_status <> 'PENDING_CANCEL'
    and (r.slot_held = 1) <> (r.execution_status in (select value from {each :holding}));

-- name: check_limits
-- I3: no more slots are held than an environment and its queues allow.
select e.id as subject, count(*) || ' slots are held, the environment allows ' || e.concurrency_limit as what
from environment e join run r on r.environment_id = e.id and r.slot_held = 1
where e.id between :low and :high
group by e.id, e.concurrency_limit, e.burst_factor
having count(*) > e.concurrency_limit * e.burst_factor
union all
select q.environment_id, 'queue ' || q.name || ': ' || count(*) || ' slots of one key are held, it allows '
    || q.concurrency_limit
from queue q join run r
    on r.environment_id = q.environment_id and r.queue = q.name and r.slot_held = 1
where q.environment_id between :low and :high and q.concurrency_limit is not null
group by q.environment_id, q.name, q.concurrency_limit, r.concurrency_key
having count(*) > q.concurrency_limit;

-- name: check_history
-- I4: the steps of a run are numbered without a gap, each is legal, and the last one is where the run is.
select r.id as subject, 'its history is not the steps 1 to ' || r.sequence as what
from run r left join execution_snapshot s on s.run_id = r.id
where r.id between :low and :high
group by r.id, r.sequence
having count(s.sequence) <> r.sequence or min(s.sequence) <> 1 or max(s.sequence) <> r.sequence
union all
select r.id, 'its last step says ' || s.execution_status || ' and ' || s.run_status
    || ', the run ' || r.execution_status || ' and ' || r.status
from run r join execution_snapshot s on s.run_id = r.id and s.sequence = r.sequence
where r.id between :low and :high
    and (s.execution_status <> r.execution_status or s.run_status <> r.status)
union all
select s.run_id, 'step ' || s.sequence || ' goes from ' || p.execution_status || ' to ' || s.execution_status
from execution_snapshot s
join execution_snapshot p on p.run_id = s.run_id and p.sequence = s.sequence - 1
where s.run_id between :low and :high
    and p.execution_status || '>' || s.execution_status not in (select value from {each :legal})
union all
select s.run_id, 'it began as ' || s.execution_status
from execution_snapshot s
where s.run_id between :low and :high and s.sequence = 1
    and s.execution_status not in (select value from {each :initial});

-- name: check_waits
-- I5: a run that waits has something to wait for.
select r.id as subject, 'it is ' || r.execution_status || ' and nothing it waits for is still to come' as what
from run r
where r.id between :low and :high and r.execution_status in ('EXECUTING_WITH_WAITPOINTS', 'SUSPENDED')
    and not exists (
        select 1 from edge e join waitpoint w on w.id = e.waitpoint_id
        where e.run_id = r.id and e.attempt = r.attempt and e.delivered = 0 and w.status = 'PENDING'
    );

-- name: check_deadlines
-- I6: a state that must not last has a deadline, and a lease has an owner.
select r.id as subject, 'it is ' || r.execution_status || ' without a deadline' as what
from run r
where r.id between :low and :high and r.due_at is null
    and (
        r.execution_status in (select value from {each :leased})
        or r.execution_status = 'DELAYED'
        or r.status_reason = 'EXTERNAL_DEPLOYMENT_PENDING' and r.execution_status = 'RUN_CREATED'
    )
union all
select r.id, 'it is ' || r.execution_status || ' and no worker has its lease'
from run r
where r.id between :low and :high and r.execution_status in (select value from {each :leased})
    and r.due_at is not null and (r.boot_id is null or r.lease is null)
union all
select r.id, 'it is queued after a pause whose end is not its deadline'
from run r
where r.id between :low and :high and r.execution_status = 'QUEUED' and r.available_at is not null
    and coalesce(r.due_at, 0) <> r.available_at;

-- name: check_attempts
-- I7: attempts stay within the policy and never decrease.
select r.id as subject, 'it is at attempt ' || r.attempt || ' of ' || r.max_attempts as what
from run r
where r.id between :low and :high and r.attempt > r.max_attempts
union all
select s.run_id, 'step ' || s.sequence || ' goes from attempt ' || p.attempt || ' back to ' || s.attempt
from execution_snapshot s
join execution_snapshot p on p.run_id = s.run_id and p.sequence = s.sequence - 1
where s.run_id between :low and :high and s.attempt < p.attempt;

-- name: check_idempotency
-- I8: one run answers for an idempotency key.
select r.id as subject, 'an older run answers for its idempotency key' as what
from run r
where r.id between :low and :high and r.idempotency_key is not null
    and exists (
        select 1 from run o
        where o.environment_id = r.environment_id and o.task = r.task
            and o.idempotency_key = r.idempotency_key and o.id < r.id
    );

-- name: check_batches
-- I9: a batch counts right, ends when everything is settled, and tells of it.
select b.id as subject, 'it has ' || b.run_count || ' items, ' || b.accepted || ' were accepted and '
    || b.settled || ' settled' as what
from batch b
where b.id between :low and :high and (b.accepted > b.run_count or b.settled > b.accepted)
union all
select b.id, 'it is sealed with ' || b.accepted || ' of ' || b.run_count || ' items'
from batch b
where b.id between :low and :high and b.sealed_at is not null and b.accepted <> b.run_count
union all
select b.id, b.accepted - b.settled || ' of its items are said to be open, ' || count(r.id) || ' are'
from batch b left join run r on r.batch_id = b.id and r.execution_status <> 'FINISHED'
where b.id between :low and :high and b.status in ('PENDING', 'PROCESSING')
group by b.id, b.accepted, b.settled
having count(r.id) <> b.accepted - b.settled
union all
select b.id, 'everything is settled and it is ' || b.status
from batch b
where b.id between :low and :high and b.status = 'PROCESSING' and b.settled >= b.run_count
union all
select b.id, 'it is COMPLETED and only ' || b.settled || ' of ' || b.run_count || ' items are settled'
from batch b
where b.id between :low and :high and b.status = 'COMPLETED' and b.settled < b.run_count
union all
select b.id, 'it is over and its waitpoint is pending'
from batch b join waitpoint w on w.batch_id = b.id
where b.id between :low and :high and b.status in ('COMPLETED', 'ABORTED') and w.status = 'PENDING';

-- name: check_ticks
-- I10: a tick of a schedule makes one run.
select r.id as subject, 'an older run belongs to the same tick of its schedule' as what
from run r
where r.id between :low and :high and r.schedule_instance_id is not null
    and exists (
        select 1 from run o
        where o.schedule_instance_id = r.schedule_instance_id and o.nominal_at = r.nominal_at and o.id < r.id
    );

-- name: check_deliveries
-- I11: a run is told of the end of a wait once: not before it, and not never.
select r.id as subject, 'it was told that ' || e.waitpoint_id || ' is over, which is pending' as what
from run r join edge e on e.run_id = r.id and e.attempt = r.attempt
join waitpoint w on w.id = e.waitpoint_id
where r.id between :low and :high and e.delivered > 0 and w.status = 'PENDING'
union all
select r.id, 'it was not told that ' || e.waitpoint_id || ' is over'
from run r join edge e on e.run_id = r.id and e.attempt = r.attempt
join waitpoint w on w.id = e.waitpoint_id
where r.id between :low and :high and r.execution_status in ('EXECUTING', 'EXECUTING_WITH_WAITPOINTS')
    and e.delivered = 0 and w.status = 'COMPLETED';

-- name: check_outbox
-- I12: what is about to be published of a run are steps it took. The oldest events stand for the rest.
select r.id as subject, 'the outbox tells of step ' || o.sequence || ', it is at ' || r.sequence as what
from (select subject_id, sequence from outbox where kind = 'run.changed' order by id limit 1000) as o
join run r on r.id = o.subject_id
left join execution_snapshot s on s.run_id = o.subject_id and s.sequence = o.sequence
where o.subject_id between :low and :high and s.run_id is null;

-- name: run_let_go
-- A final run gives back what it still has.
update run set slot_held = 0, boot_id = null, due_at = null, available_at = null
where id = :id and execution_status = 'FINISHED';

-- name: run_set_slot
-- Let the slot follow the state.
update run set slot_held = :slot_held where id = :id and sequence = :sequence;

-- name: run_set_due
-- Give a run the deadline its state needs.
update run set due_at = :due_at where id = :id and sequence = :sequence;

-- name: edges_take_back
-- Waits that are not over have not been told of.
update edge set delivered = 0
where run_id = :run_id and delivered > 0
    and waitpoint_id in (select id from waitpoint where status = 'PENDING');

-- name: outbox_forget_untrue
-- Steps a run never took are not published.
delete from outbox
where kind = 'run.changed' and subject_id = :run_id
    and sequence not in (select sequence from execution_snapshot where run_id = :run_id);

-- name: runs_all
-- Every run, for tests that look at all of them.
select {RunRow} from run order by id;

-- name: health_oldest_queued
-- Since when the oldest run that can be claimed is in the queue.
select min(queued_at) from run where execution_status = 'QUEUED' and available_at is null;

-- name: health_leases_overdue
-- Leases that ended before a moment and that nobody has taken up.
select count(*) from run where due_at < :before and boot_id is not null;

-- name: health_dead_workers
-- Workers that fell silent before a moment, with how many runs they hold.
select i.name as name, count(r.id) as count
from worker_instance i left join run r on r.boot_id = i.boot_id
where i.last_seen_at < :before
group by i.environment_id, i.name
order by i.name;

-- name: health_outbox_oldest
-- Since when the oldest event waits to be published.
select min(created_at) from outbox;

-- name: health_outbox_count
-- How many events wait to be published.
select count(*) from outbox;

-- name: health_runs
-- How many runs there are in each state.
select execution_status as name, count(*) as count from run group by execution_status order by execution_status;
