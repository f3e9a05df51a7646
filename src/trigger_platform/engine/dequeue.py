"""Claiming: hand queued runs to a worker, within the limits, in one transaction (engine 4.3, recipe C3).

A claimed run is PENDING_EXECUTING under a lease. Its attempt counts only once the worker has begun it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from trigger_core.duration import NO_LIMIT_S
from trigger_core.retry import RetryPolicy
from trigger_core.schemas.workers import Assignment
from trigger_platform.engine import (
    checkpoint,
    concurrency,
    environment_turns,
    execution_snapshot,
    idempotency,
    language,
    pending_version,
    pool,
    queue_front,
    queue_name,
    trace,
    ttl,
)
from trigger_platform.engine import environment as locking
from trigger_platform.engine.environment_turns import Contender
from trigger_platform.engine.execution_snapshot import LEASE_MS, Move
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import (
    EnvironmentRow,
    PayloadRow,
    RunRow,
    TaskRow,
    WorkerRow,
)

__all__ = ["assignments", "claim", "claim_across", "unheard"]


_LOOKS = 100
"""How often a claim looks again, because what it saw was for sessions of another language."""


@dataclass(frozen=True, slots=True)
class _Look:
    """What came of a look at the front: runs that were claimed, and how many went elsewhere."""

    claimed: list[RunRow]
    bound: int


@dataclass(frozen=True, slots=True)
class _Holder:
    """Whom runs are handed to, and for how long nothing needs to be heard of them."""

    boot_id: str
    lease_ms: int = LEASE_MS


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a run will execute."""

    worker: WorkerRow
    task: TaskRow


def claim(
    u: Unit, environment: EnvironmentRow, boot_id: str, workers: Sequence[str], limit: int
) -> list[Assignment]:
    """Claim up to ``limit`` runs for a worker instance.

    ``workers`` are the versions it can run, newest last. A run keeps the version it started with while that
    is among them; in a development environment it moves to the newest when it is gone, pinned or not: a
    version of development that has ended never comes back. A new run goes to the newest of them in a
    development environment, elsewhere to the current version alone. A run whose task or queue the version
    does not have is put aside until a version has it; a development session that does not serve the current
    version yet leaves it to its next question. One whose time to live is over expires, though no sweep has
    come by yet.
    """
    if limit <= 0 or not workers:
        return []
    taken = locking.lock(u, environment.id)
    return assignments(u, _claim(u, taken, _Holder(boot_id), workers, limit))


def claim_across(
    u: Unit,
    workers: Mapping[str, Sequence[str]],
    boot_id: str,
    limit: int,
    *,
    lease_ms: int = LEASE_MS,
) -> dict[str, list[Assignment]]:
    """Claim up to ``limit`` runs for a worker instance that serves several environments, fairly.

    ``workers`` are the versions it can run, by environment. Only environments with free slots take part,
    however many old runs others have (W27). What is handed out must be heard of within ``lease_ms``.
    """
    holder = _Holder(boot_id, lease_ms)
    ids = json.dumps(sorted(workers))
    open_to = {row.id: row for row in u.tx.all("environments_lock", EnvironmentRow, ids=ids)}
    claimed: dict[str, list[RunRow]] = {}
    left = limit
    while left > 0:
        contenders = [_contender(u, row, workers[row.id], left) for row in open_to.values()]
        shares = environment_turns.share(contenders, left)
        if not shares:
            break
        found = {
            id_: _claim(u, open_to[id_], holder, workers[id_], share)
            for id_, share in shares.items()
        }
        for row in _charge(u, contenders, open_to, found):
            if len(found.get(row.id, ())) < shares[row.id]:
                del open_to[row.id]  # what waits there has no room in its queues
            else:
                open_to[row.id] = row
        for id_, runs in found.items():
            claimed.setdefault(id_, []).extend(runs)
            left -= len(runs)
    return {id_: assignments(u, runs) for id_, runs in claimed.items() if runs}


def unheard(u: Unit, environment: EnvironmentRow, boot_id: str) -> list[Assignment]:
    """Return what was handed to a worker instance and has not begun: it may never have heard of it."""
    held = u.tx.all("runs_of_boot", RunRow, boot_id=boot_id)
    return assignments(
        u,
        [
            run
            for run in held
            if run.environment_id == environment.id
            and run.execution_status == ExecutionStatus.PENDING_EXECUTING
        ],
    )


def _charge(
    u: Unit,
    contenders: Sequence[Contender],
    environments: Mapping[str, EnvironmentRow],
    found: Mapping[str, Sequence[RunRow]],
) -> list[EnvironmentRow]:
    """Note how far the environments have gone; return them as they are now."""
    handed_out = Counter({id_: len(runs) for id_, runs in found.items()})
    served = environment_turns.after(contenders, handed_out)
    u.tx.many("environment_served", [{"id": id_, "served": far} for id_, far in served.items()])
    return [replace(row, served=served.get(row.id, row.served)) for row in environments.values()]


def _contender(
    u: Unit, environment: EnvironmentRow, workers: Sequence[str], limit: int
) -> Contender:
    held = u.tx.scalar("slots_of_environment", environment_id=environment.id)
    room = (
        0
        if environment.paused or environment.archived_at
        else concurrency.burst(environment) - held
    )
    found = 0
    if room > 0:
        pools = pool.served_by(u, environment, workers)
        most = min(room, limit)
        found = min(most, u.tx.scalar("claimable_at_most", pools=pools, limit=most))
    return Contender(environment.id, environment.served, environment.concurrency_limit, found)


def _claim(
    u: Unit, environment: EnvironmentRow, holder: _Holder, workers: Sequence[str], limit: int
) -> list[RunRow]:
    if environment.paused or environment.archived_at is not None:
        return []
    versions = _Versions(u, environment, workers)
    claimed: list[RunRow] = []
    for _ in range(_LOOKS):
        look = _look(u, environment, holder, versions, limit - len(claimed))
        claimed += look.claimed
        if not look.bound:
            break
    return claimed


def _look(
    u: Unit, environment: EnvironmentRow, holder: _Holder, versions: _Versions, limit: int
) -> _Look:
    """Take what stands at the front; what is at home in another language goes there, out of the way."""
    pools = pool.served_by(u, environment, versions.workers)
    free = concurrency.room(u, environment)
    moves: list[Move] = []
    bound = 0
    for run in queue_front.next_runs(u, environment, pools, free, limit):
        if ttl.is_over(u, run):
            ttl.expire(u, run)
            continue
        target = versions.target(run)
        if target is not None:
            moves.append(_hand_out(u, run, holder, target))
        elif (elsewhere := versions.elsewhere(run)) is not None:
            language.bind(u, run.id, run.sequence, elsewhere)
            u.runnable.add(environment.id)
            bound += 1
        elif versions.can_wait(run):
            moves.append(pending_version.park(u, run, versions.reason(run)))
    execution_snapshot.apply(u, moves)
    return _Look(
        [one.run for one in moves if one.run.execution_status == ExecutionStatus.PENDING_EXECUTING],
        bound,
    )


def assignments(u: Unit, runs: Sequence[RunRow]) -> list[Assignment]:
    """Return what a worker needs to execute the next attempt of runs it was given."""
    if not runs:
        return []
    wanted = json.dumps([run.id for run in runs])
    payloads = {row.run_id: row for row in u.tx.all("payloads_of", PayloadRow, ids=wanted)}
    return [_assignment(u, run, payloads.get(run.id)) for run in runs]


class _Versions:
    """The versions a worker instance can run, and their tasks, looked up as needed."""

    def __init__(self, u: Unit, environment: EnvironmentRow, workers: Sequence[str]) -> None:
        self._u = u
        self._environment = environment
        self.workers = workers
        self._may_move = environment.type == "DEVELOPMENT"
        self._newest = workers[-1] if self._may_move else environment.current_worker_id
        self._live = set(workers)
        self._is_behind = self._may_move and self._newest not in language.current(u, environment)
        self._tasks: dict[tuple[str, str], TaskRow | None] = {}
        self._queues: dict[tuple[str, str], bool] = {}
        self._workers: dict[str, WorkerRow] = {}

    def target(self, run: RunRow) -> _Target | None:
        """Return where the run executes, or ``None`` when no live version has its task."""
        worker_id = self._choose(run)
        if worker_id is None:
            return None
        task = self._task(worker_id, run.task)
        if task is None or worker_id not in self._live or not self._has_queue(task, run.queue):
            return None
        worker = self._worker(worker_id)
        return _Target(worker, task) if worker.environment_id == run.environment_id else None

    def elsewhere(self, run: RunRow) -> str | None:
        """Return the version of another language that a run is for, if it is."""
        if not self._environment.is_mixed:
            return None
        task = language.home(self._u, self._environment, run.task)
        if task is None or task.worker_id in {self._newest, *self._live}:
            return None
        return task.worker_id

    def can_wait(self, run: RunRow) -> bool:
        """Tell whether the run waits for another version rather than for another worker."""
        worker_id = self._choose(run)
        if worker_id is None:
            return run.worker_id is None
        return worker_id in self._live and not self._is_behind

    def reason(self, run: RunRow) -> pending_version.Reason:
        """Say why no version can take a run that can wait for another one."""
        worker_id = self._choose(run)
        if worker_id is None:
            return "NO_DEPLOYMENT"
        if self._task(worker_id, run.task) is None:
            return pending_version.reason(self._u, run)
        return "QUEUE_NOT_FOUND"

    def _choose(self, run: RunRow) -> str | None:
        if run.worker_id is None or run.worker_id in self._live:
            return run.worker_id or self._newest
        return self._newest if self._may_move else None

    def _has_queue(self, task: TaskRow, queue: str) -> bool:
        """Tell whether the task's version has a queue; the task's own queues it certainly has."""
        if queue in {task.queue, queue_name.of_task(task.task)}:
            return True
        key = (task.worker_id, queue)
        if key not in self._queues:
            found = self._u.tx.scalar("worker_has_queue", worker_id=task.worker_id, queue=queue)
            self._queues[key] = found is not None
        return self._queues[key]

    def _task(self, worker_id: str, task: str) -> TaskRow | None:
        key = (worker_id, task)
        if key not in self._tasks:
            self._tasks[key] = self._u.tx.maybe(
                "task_of_worker", TaskRow, worker_id=worker_id, task=task
            )
        return self._tasks[key]

    def _worker(self, worker_id: str) -> WorkerRow:
        if worker_id not in self._workers:
            self._workers[worker_id] = self._u.tx.one("worker_by_id", WorkerRow, id=worker_id)
        return self._workers[worker_id]


def _hand_out(u: Unit, run: RunRow, holder: _Holder, target: _Target) -> Move:
    task = target.task
    retry = run.retry or task.retry
    return execution_snapshot.move(
        u,
        run,
        ExecutionStatus.PENDING_EXECUTING,
        RunStatus.DEQUEUED,
        f"Handed to a worker with version {target.worker.version}",
        due_at=u.now + holder.lease_ms,
        lease=run.sequence + 1,
        boot_id=holder.boot_id,
        worker_id=target.worker.id,
        version=target.worker.version,
        retry=retry,
        max_attempts=run.max_attempts or _max_attempts(retry),
        machine=run.machine or task.machine,
        max_duration=run.max_duration or task.max_duration,
        started_at=run.started_at or u.now,
        available_at=None,
    )


def _max_attempts(retry: str | None) -> int:
    policy = RetryPolicy.from_wire(json.loads(retry)) if retry else RetryPolicy()
    return policy.max_attempts


def _assignment(u: Unit, run: RunRow, payload: PayloadRow | None) -> Assignment:
    restoring = checkpoint.restore(u, run)
    is_next = run.execution_status == ExecutionStatus.PENDING_EXECUTING and restoring is None
    return Assignment(
        run_id=run.id,
        lease=run.lease or 0,
        attempt=run.attempt + is_next,
        worker_id=run.worker_id or "",
        task=run.task,
        payload=payload.data if payload else None,
        payload_type=payload.type if payload else "application/json",
        queue=run.queue,
        concurrency_key=run.concurrency_key or None,
        tags=json.loads(run.tags) if run.tags else [],
        metadata=json.loads(run.metadata) if run.metadata else None,
        created_at=run.created_at,
        started_at=run.started_at or u.now,
        attempt_started_at=u.now,
        max_attempts=run.max_attempts or 1,
        max_duration=None if run.max_duration == NO_LIMIT_S else run.max_duration,
        machine=run.machine,
        is_test=bool(run.is_test),
        is_replay=run.replay_of is not None,
        idempotency_key=idempotency.written(run),
        parent_run_id=run.parent_id,
        root_run_id=run.root_id,
        batch_id=run.batch_id,
        version=run.version or "",
        priority=run.priority_ms / 1000,
        traceparent=trace.attempt_context(run, run.attempt + is_next).traceparent,
        checkpoint=restoring.checkpoint if restoring else None,
        waits=restoring.waits if restoring else [],
    )
