"""Runs that no version can take now: parked, released when a version lands, pinned to the one they asked for.

A run is parked when the version it would execute on does not have its task or its queue (engine 3.12), or
when it names a deployment of the caller's that does not exist yet. It is released, oldest first and page by
page, in the transactions that follow the landing of a version, and its time to live begins there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from trigger_core import version
from trigger_platform.engine import execution_snapshot, failure, finish, language
from trigger_platform.engine.execution_snapshot import Move
from trigger_platform.engine.states import ExecutionStatus, RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import DeploymentRow, EnvironmentRow, RunRow, WorkerRow

__all__ = [
    "EXTERNAL_TIMER",
    "LANDED_TIMER",
    "Reason",
    "deadline",
    "expire",
    "external_landed",
    "has",
    "landed",
    "park",
    "parked",
    "pin",
    "reason",
]

Reason = Literal[
    "TASK_NOT_IN_LATEST",
    "TASK_NEVER_REGISTERED",
    "QUEUE_NOT_FOUND",
    "NO_DEPLOYMENT",
    "EXTERNAL_DEPLOYMENT_PENDING",
]

LANDED_TIMER = "version-landed"
EXTERNAL_TIMER = "external-landed"
_PAGE = 200
_PATIENCE_MS = 3_600_000
_SENTENCES: dict[Reason, str] = {
    "NO_DEPLOYMENT": "No deployment is current here",
    "TASK_NOT_IN_LATEST": "No version has the task {task} now",
    "TASK_NEVER_REGISTERED": "No version has the task {task} now",
    "QUEUE_NOT_FOUND": "The version has no queue {queue}",
    "EXTERNAL_DEPLOYMENT_PENDING": "Waits for the deployment {external}",
}


def reason(u: Unit, run: RunRow) -> Reason:
    """Say why there is no task to execute for a run."""
    known = u.tx.scalar("task_known", environment_id=run.environment_id, task=run.task)
    return "TASK_NOT_IN_LATEST" if known else "TASK_NEVER_REGISTERED"


def park(u: Unit, run: RunRow, why: Reason) -> Move:
    """Decide to put a queued run aside until a version lands that can take it."""
    text = _SENTENCES[why].format(
        task=run.task, queue=run.queue, external=run.external_deployment_id
    )
    return execution_snapshot.move(
        u,
        run,
        ExecutionStatus.RUN_CREATED,
        RunStatus.PENDING_VERSION,
        text,
        status_reason=why,
        due_at=None,
    )


def parked(run: RunRow) -> RunRow:
    """Return a run about to be written as one that waits for the deployment it names."""
    return run._replace(
        status=RunStatus.PENDING_VERSION.value,
        status_reason="EXTERNAL_DEPLOYMENT_PENDING",
        execution_status=ExecutionStatus.RUN_CREATED.value,
        due_at=deadline(run),
        queued_at=None,
    )


def deadline(run: RunRow) -> int:
    """Return until when a run waits for its deployment: an hour, or its ttl if that is sooner."""
    patience = _PATIENCE_MS if run.ttl_ms is None else min(_PATIENCE_MS, run.ttl_ms)
    return (run.delay_until or run.created_at) + patience


def pin(u: Unit, environment_id: str, external_id: str) -> WorkerRow | None:
    """Return the highest version that was deployed under the caller's own id, if there is one."""
    found = u.tx.all(
        "deployments_deployed_as",
        DeploymentRow,
        environment_id=environment_id,
        external_id=external_id,
    )
    if not found:
        return None
    highest = max(found, key=lambda one: version.sort_key(one.version))
    return u.tx.one("worker_by_id", WorkerRow, id=highest.worker_id)


def has(u: Unit, worker_id: str, task: str, queue: str) -> bool:
    """Tell whether a version has a task and a queue."""
    found = u.tx.scalar("worker_has", worker_id=worker_id, task=task, queue=queue)
    return found is not None


def landed(u: Unit, worker_id: str) -> None:
    """Release a page of the runs that wait for any version, if this one is still current."""
    worker = u.tx.one("worker_by_id", WorkerRow, id=worker_id)
    environment = u.tx.one("environment_by_id", EnvironmentRow, id=worker.environment_id)
    if worker_id not in language.current(u, environment):
        return
    runs = u.tx.all(
        "runs_releasable",
        RunRow,
        environment_id=environment.id,
        worker_id=worker_id,
        limit=_PAGE,
    )
    _release(u, runs, None)
    _page_on(u, LANDED_TIMER, worker_id, runs)


def external_landed(u: Unit, deployment_id: str) -> None:
    """Release a page of the runs that wait for a deployment's external id, pinned to its highest version."""
    deployment = u.tx.one("deployment_any", DeploymentRow, id=deployment_id)
    if deployment.external_id is None:
        return
    worker = pin(u, deployment.environment_id, deployment.external_id)
    if worker is None:
        return
    runs = u.tx.all(
        "runs_releasable_external",
        RunRow,
        environment_id=deployment.environment_id,
        external_id=deployment.external_id,
        worker_id=worker.id,
        limit=_PAGE,
    )
    _release(u, runs, worker)
    _page_on(u, EXTERNAL_TIMER, deployment_id, runs)


def expire(u: Unit, run: RunRow) -> None:
    """End the wait for a deployment: it is there by now, or the delay has moved, or the run expires."""
    external_id = run.external_deployment_id
    worker = pin(u, run.environment_id, external_id) if external_id else None
    if worker is not None and has(u, worker.id, run.task, run.queue):
        _release(u, [run], worker)
        return
    due_at = deadline(run)
    if due_at > u.now:
        u.tx.run("run_set_due", id=run.id, sequence=run.sequence, due_at=due_at)
        u.expect(due_at)
        return
    text = f"No deployment with the external id {external_id!r} came in time"
    step = finish.decide(u, run, RunStatus.EXPIRED, text, error=failure.plain_error(f"{text}."))
    reasoned = step.run._replace(status_reason="EXTERNAL_DEPLOYMENT_NOT_FOUND")
    finish.apply(u, [Move(step.before, reasoned, step.description, step.attempt_error)])


def _release(u: Unit, runs: Sequence[RunRow], worker: WorkerRow | None) -> None:
    execution_snapshot.apply(u, [_released(u, run, worker) for run in runs])


def _released(u: Unit, run: RunRow, worker: WorkerRow | None) -> Move:
    columns: dict[str, Any] = {"status_reason": None}
    if worker is not None:
        columns |= {"worker_id": worker.id, "version": worker.version, "pinned": 1}
    if run.delay_until is not None and run.delay_until > u.now:
        return execution_snapshot.move(
            u,
            run,
            ExecutionStatus.DELAYED,
            RunStatus.DELAYED,
            "A version with the task is here; the delay is not over",
            due_at=run.delay_until,
            **columns,
        )
    expires = run.ttl_ms is not None and run.started_at is None
    return execution_snapshot.move(
        u,
        run,
        ExecutionStatus.QUEUED,
        RunStatus.PENDING,
        "A version with the task is here",
        due_at=u.now + (run.ttl_ms or 0) if expires else None,
        queued_at=u.now,
        **columns,
    )


def _page_on(u: Unit, kind: str, subject_id: str, page: Sequence[RunRow]) -> None:
    """Where a page was full, the next sweep goes on."""
    if len(page) == _PAGE:
        u.tx.run("timer_set", kind=kind, subject_id=subject_id, due_at=u.now)
        u.expect(u.now)
