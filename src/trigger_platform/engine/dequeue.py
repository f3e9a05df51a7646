"""Claiming: hand queued runs to a worker, within the limits, in one transaction (engine 4.3, recipe C3).

A claimed run is PENDING_EXECUTING under a lease. Its attempt counts only once the worker has begun it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trigger_core.retry import RetryPolicy
from trigger_core.schemas.workers import Assignment
from trigger_platform.engine import concurrency, execution_snapshot, ttl
from trigger_platform.engine.concurrency import Room
from trigger_platform.engine.execution_snapshot import Move
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import (
    EnvironmentRow,
    PayloadRow,
    RunRow,
    SlotsRow,
    TaskRow,
    WorkerRow,
)

__all__ = ["assignments", "claim"]


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
    is among them; in a development environment it moves to the newest when it is gone. A run whose task the
    version does not have is put aside until a version has it. One whose time to live is over expires, though
    no sweep has come by yet.
    """
    if limit <= 0 or not workers:
        return []
    free = concurrency.room(u, environment)
    chosen = _choose(u, environment, free, min(limit, free.environment))
    versions = _Versions(u, environment, workers)
    moves: list[Move] = []
    for run in chosen:
        if ttl.is_over(u, run):
            ttl.expire(u, run)
            continue
        target = versions.target(run)
        if target is not None:
            moves.append(_hand_out(u, run, boot_id, target))
        elif versions.can_wait(run):
            moves.append(_put_aside(u, run))
    execution_snapshot.apply(u, moves)
    claimed = [
        step.run for step in moves if step.run.execution_status == ExecutionStatus.PENDING_EXECUTING
    ]
    return assignments(u, claimed)


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
        self._newest = workers[-1]
        self._live = set(workers)
        self._may_move = environment.type == "DEVELOPMENT"
        self._tasks: dict[tuple[str, str], TaskRow | None] = {}
        self._workers: dict[str, WorkerRow] = {}

    def target(self, run: RunRow) -> _Target | None:
        """Return where the run executes, or ``None`` when no live version has its task."""
        worker_id = self._choose(run)
        if worker_id is None:
            return None
        task = self._task(worker_id, run.task)
        return None if task is None else _Target(self._worker(worker_id), task)

    def can_wait(self, run: RunRow) -> bool:
        """Tell whether the run waits for another version rather than for another worker."""
        return self._choose(run) is not None

    def _choose(self, run: RunRow) -> str | None:
        if run.worker_id is None or run.worker_id in self._live:
            return run.worker_id or self._newest
        return self._newest if self._may_move and not run.pinned else None

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


def _choose(u: Unit, environment: EnvironmentRow, free: Room, limit: int) -> list[RunRow]:
    """Return the next runs that fit: one query, or more when a full queue stands at the front."""
    if limit <= 0:
        return []
    front = u.tx.all("runs_claimable", RunRow, environment_id=environment.id, limit=limit)
    chosen = [run for run in front if free.take(run)]
    if len(chosen) == len(front):
        return chosen
    seen = {run.id for run in front}
    behind = _behind_full_queues(u, environment, free, limit - len(chosen), seen)
    return [*chosen, *behind]


def _behind_full_queues(
    u: Unit, environment: EnvironmentRow, free: Room, limit: int, seen: set[str]
) -> list[RunRow]:
    candidates: list[RunRow] = []
    for key in u.tx.all("claimable_queues", SlotsRow, environment_id=environment.id):
        left = min(free.of_queue(key.queue, key.concurrency_key), limit)
        if left > 0:
            candidates += u.tx.all(
                "runs_claimable_of_queue",
                RunRow,
                environment_id=environment.id,
                queue=key.queue,
                concurrency_key=key.concurrency_key,
                limit=left + len(seen),
            )
    return list(_first_that_fit(candidates, free, limit, seen))


def _first_that_fit(
    candidates: list[RunRow], free: Room, limit: int, seen: set[str]
) -> Iterator[RunRow]:
    taken = 0
    for run in sorted(candidates, key=lambda candidate: candidate.position):
        if taken == limit:
            return
        if run.id not in seen and free.take(run):
            taken += 1
            yield run


def _hand_out(u: Unit, run: RunRow, boot_id: str, target: _Target) -> Move:
    task = target.task
    retry = run.retry or task.retry
    return execution_snapshot.move(
        u,
        run,
        ExecutionStatus.PENDING_EXECUTING,
        RunStatus.DEQUEUED,
        f"Handed to a worker with version {target.worker.version}",
        lease=run.sequence + 1,
        boot_id=boot_id,
        worker_id=target.worker.id,
        version=target.worker.version,
        retry=retry,
        max_attempts=run.max_attempts or _max_attempts(retry),
        machine=run.machine or task.machine,
        max_duration=run.max_duration or task.max_duration,
        started_at=run.started_at or u.now,
        attempt_started_at=None,
        available_at=None,
    )


def _max_attempts(retry: str | None) -> int:
    policy = RetryPolicy.from_wire(json.loads(retry)) if retry else RetryPolicy()
    return policy.max_attempts


def _put_aside(u: Unit, run: RunRow) -> Move:
    known = u.tx.scalar("task_known", environment_id=run.environment_id, task=run.task)
    reason = "TASK_NOT_IN_LATEST" if known else "TASK_NEVER_REGISTERED"
    return execution_snapshot.move(
        u,
        run,
        ExecutionStatus.RUN_CREATED,
        RunStatus.PENDING_VERSION,
        f"No version has the task {run.task} now",
        status_reason=reason,
        due_at=None,
    )


def _assignment(u: Unit, run: RunRow, payload: PayloadRow | None) -> Assignment:
    return Assignment.model_construct(
        run_id=run.id,
        lease=run.lease or 0,
        attempt=run.attempt + (run.execution_status == ExecutionStatus.PENDING_EXECUTING),
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
        max_duration=run.max_duration,
        machine=run.machine,
        is_test=bool(run.is_test),
        is_replay=run.replay_of is not None,
        idempotency_key=run.idempotency_key,
        parent_run_id=run.parent_id,
        root_run_id=run.root_id,
        batch_id=run.batch_id,
        version=run.version or "",
        priority=run.priority_ms / 1000,
    )
