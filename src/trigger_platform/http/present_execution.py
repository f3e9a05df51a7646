"""From rows to what the TypeScript workers read: snapshots, attempts, ended waits (protocol D.6-D.8)."""

from __future__ import annotations

import json
from typing import Any

from trigger_core import clock, ids, machines
from trigger_core.duration import NO_LIMIT_S
from trigger_core.schemas.execution import (
    AttemptStarted,
    CompletedBatch,
    CompletedRun,
    CompletedWaitpoint,
    CompletionResult,
    DequeuedMessage,
    DequeuedRun,
    Execution,
    ExecutionAttempt,
    ExecutionBatch,
    ExecutionCheckpoint,
    ExecutionData,
    ExecutionDeployment,
    ExecutionEnvironment,
    ExecutionMachine,
    ExecutionOrganization,
    ExecutionProject,
    ExecutionQueue,
    ExecutionRun,
    ExecutionTask,
    ManagedMessage,
    Named,
    RunState,
    SnapshotState,
    Typed,
    WorkerVersion,
)
from trigger_core.schemas.supervisors import ContinuedRun
from trigger_platform.engine import idempotency, trace
from trigger_platform.engine.snapshot_channel import (
    Attempt,
    CompletedWait,
    Deployed,
    Ended,
    Given,
    Latest,
    Since,
)
from trigger_platform.engine.states import ExecutionStatus
from trigger_platform.engine.supervisor import Taken
from trigger_platform.http import given_variables
from trigger_platform.store.rows import EnvironmentRow, RunRow

__all__ = ["completed", "continued", "dequeued", "latest", "managed", "since", "started"]

_SLUGS = {"DEVELOPMENT": "dev", "STAGING": "stg", "PRODUCTION": "prod", "PREVIEW": "preview"}
_STATUSES = {
    "finished": "RUN_FINISHED",
    "retry_now": "RETRY_IMMEDIATELY",
    "retry_queued": "RETRY_QUEUED",
}


def dequeued(given: Given, environment: EnvironmentRow, now: int) -> DequeuedMessage:
    """Return a run that was handed out; its lease is the number of the snapshot that did it."""
    run, home = given.run, given.home
    return DequeuedMessage(
        snapshot=_snapshot(run.run_id, run.lease, ExecutionStatus.PENDING_EXECUTING, now),
        dequeued_at=clock.to_iso(now),
        background_worker=WorkerVersion(
            id=_body(run.worker_id), friendly_id=run.worker_id, version=run.version
        ),
        run=DequeuedRun(
            id=_body(run.run_id),
            friendly_id=run.run_id,
            is_test=run.is_test,
            is_replay=run.is_replay,
            machine=_machine(run.machine),
            attempt_number=run.attempt,
            trace_context={"traceparent": run.traceparent} if run.traceparent else {},
        ),
        environment=Typed(id=environment.id, type=environment.type),
        organization=Named(id=home.organization.id),
        project=Named(id=home.project.id),
    )


def managed(taken: Taken, now: int) -> ManagedMessage:
    """Return a run that was handed to a supervisor."""
    run, deployment = taken.run, taken.deployment
    plain = dequeued(Given(run, taken.home), taken.environment, now)
    kept = run.checkpoint
    return ManagedMessage(
        **dict(plain)
        | {
            "deployment": {
                "id": _body(deployment.id),
                "friendlyId": deployment.id,
                "imagePlatform": deployment.image_platform,
            }
        },
        image=deployment.image_reference or "",
        checkpoint=ExecutionCheckpoint(
            id=_body(kept.id),
            type=kept.kind,
            location=kept.location,
            image_ref=kept.image_reference,
        )
        if kept
        else None,
    )


def started(attempt: Attempt, environment: EnvironmentRow, given: dict[str, str]) -> AttemptStarted:
    """Return an attempt that has begun, with everything its code is given; the user's variables too.

    Newer command lines give the variables that come here, older ones those that they asked for before.
    """
    run, project, owner = attempt.run, attempt.home.project, attempt.home.organization
    return AttemptStarted(
        snapshot=_snapshot_of(run),
        run=_run(run),
        env_vars=given_variables.beside(attempt.variables, given) | _variables(run),
        execution=Execution(
            attempt=ExecutionAttempt(
                number=run.attempt,
                started_at=clock.to_iso(run.attempt_started_at or run.updated_at),
            ),
            run=_execution_run(attempt),
            task=ExecutionTask(id=run.task, file_path=attempt.task.file_path),
            queue=ExecutionQueue(id=attempt.queue.id, name=attempt.queue.name),
            environment=ExecutionEnvironment(
                id=environment.id,
                slug=_SLUGS[environment.type],
                type=environment.type,
                branch_name=environment.branch,
            ),
            organization=ExecutionOrganization(id=owner.id, slug=owner.slug, name=owner.title),
            project=ExecutionProject(
                id=project.id, ref=project.ref, slug=project.slug, name=project.name
            ),
            machine=_machine(run.machine),
            batch=ExecutionBatch(id=run.batch_id) if run.batch_id else None,
            deployment=_deployment(attempt.deployment) if attempt.deployment else None,
        ),
    )


def completed(ended: Ended) -> CompletionResult:
    """Return what became of an attempt that ended."""
    return CompletionResult.model_validate(
        {
            "attempt_status": _STATUSES[ended.verdict.kind],
            "snapshot": _snapshot_of(ended.run),
            "run": _run(ended.run),
        }
    )


def latest(found: Latest) -> ExecutionData:
    """Return where a run is, with the waits that are over."""
    run = found.run
    return ExecutionData(
        snapshot=_snapshot_of(run),
        run=_run(run),
        batch=_batch(run.batch_id) if run.batch_id else None,
        completed_waitpoints=[_wait(one) for one in found.waits],
    )


def since(found: Since) -> list[ExecutionData]:
    """Return the steps of a run; the waits that ended come with the last one."""
    run = found.run
    steps = [
        ExecutionData(
            snapshot=_snapshot(run.id, step.sequence, step.execution_status, step.created_at),
            run=RunState(
                id=_body(run.id),
                friendly_id=run.id,
                status=step.run_status,
                attempt_number=step.attempt,
            ),
            batch=_batch(run.batch_id) if run.batch_id else None,
            completed_waitpoints=[],
        )
        for step in found.steps
    ]
    told = {"completed_waitpoints": [_wait(one) for one in found.waits]}
    return [*steps[:-1], *(last.model_copy(update=told) for last in steps[-1:])]


def continued(run: RunRow) -> ContinuedRun:
    """Return a run that executes again."""
    return ContinuedRun(snapshot=_snapshot_of(run), run=_run(run))


def _deployment(deployed: Deployed) -> ExecutionDeployment:
    row, said = deployed.row, json.loads(deployed.version.metadata)
    return ExecutionDeployment(
        id=row.id,
        short_code=row.short_code,
        version=row.version,
        runtime=said.get("runtime") or row.runtime or "",
        runtime_version=said.get("runtimeVersion") or "",
        git=json.loads(row.git) if row.git else None,
    )


def _execution_run(attempt: Attempt) -> ExecutionRun:
    run, payload = attempt.run, attempt.payload
    return ExecutionRun(
        id=run.id,
        payload=(payload.data if payload else None) or "",
        payload_type=payload.type if payload else "application/json",
        tags=json.loads(run.tags) if run.tags else [],
        is_test=bool(run.is_test),
        is_replay=run.replay_of is not None,
        created_at=clock.to_iso(run.created_at),
        started_at=clock.to_iso(run.started_at or run.updated_at),
        idempotency_key=idempotency.written(run),
        idempotency_key_scope=_scope(run),
        max_attempts=run.max_attempts,
        version=run.version,
        metadata=json.loads(run.metadata) if run.metadata else None,
        max_duration=None if run.max_duration == NO_LIMIT_S else run.max_duration,
        priority=run.priority_ms / 1000,
        duration_ms=run.usage_ms,
        parent_task_run_id=run.parent_id,
        root_task_run_id=run.root_id,
        trace_context=trace.of_run(run).context,
    )


def _scope(run: RunRow) -> str | None:
    if not run.idempotency_options:
        return None
    scope: str = json.loads(run.idempotency_options)["scope"]
    return scope


def _variables(run: RunRow) -> dict[str, str]:
    return {
        "TRIGGER_RUN_ID": run.id,
        "TRIGGER_MACHINE_PRESET": run.machine or machines.DEFAULT_MACHINE,
    }


def _wait(over: CompletedWait) -> CompletedWaitpoint:
    """A run of a batch is known by its place in it: one run may stand in several places."""
    edge, point, result = over.edge, over.waitpoint, over.result
    is_moment = point.type == "DATETIME"
    is_item = point.run_id is not None and edge.position >= 0
    return CompletedWaitpoint(
        id=_body(point.id),
        friendly_id=point.id,
        index=edge.position if is_item else None,
        type=point.type,
        completed_at=clock.to_iso(point.completed_at or point.created_at),
        idempotency_key=point.key,
        completed_by_task_run=CompletedRun(
            id=_body(point.run_id),
            friendly_id=point.run_id,
            batch=_batch(edge.ref) if is_item else None,
        )
        if point.run_id
        else None,
        completed_after=clock.to_iso(point.completed_at or point.created_at) if is_moment else None,
        completed_by_batch=_batch(point.batch_id) if point.batch_id else None,
        output=result.output,
        output_type=result.output_type if result.output is not None else None,
        output_is_error=not result.ok,
    )


def _batch(batch_id: str) -> CompletedBatch:
    return CompletedBatch(id=_body(batch_id), friendly_id=batch_id)


def _run(run: RunRow) -> RunState:
    return RunState(
        id=_body(run.id), friendly_id=run.id, status=run.status, attempt_number=run.attempt
    )


def _snapshot_of(run: RunRow) -> SnapshotState:
    return _snapshot(run.id, run.sequence, run.execution_status, run.updated_at)


def _snapshot(run_id: str, sequence: int, status: str, at: int) -> SnapshotState:
    friendly = ids.snapshot_id(run_id, sequence)
    return SnapshotState(
        id=_body(friendly),
        friendly_id=friendly,
        execution_status=status,
        description=status,
        created_at=clock.to_iso(at),
    )


def _machine(name: str | None) -> ExecutionMachine:
    known: dict[Any, machines.Machine] = dict(machines.PRESETS)
    machine = known.get(name) or machines.PRESETS[machines.DEFAULT_MACHINE]
    return ExecutionMachine(name=machine.name, cpu=machine.cpu, memory=machine.memory_gb)


def _body(friendly: str) -> str:
    """Return an id without its prefix, as clients know it from inside the platform."""
    return friendly.partition("_")[2]
