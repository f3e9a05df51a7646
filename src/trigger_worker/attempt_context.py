"""What a task is told about its run, made from the assignment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from trigger_core.machines import DEFAULT_MACHINE, PRESETS
from trigger_core.retry import RetryPolicy
from trigger_sdk.config import Config
from trigger_sdk.context import (
    AttemptContext,
    BatchContext,
    CancelSignal,
    Context,
    DeploymentContext,
    EnvironmentContext,
    ProjectContext,
    QueueContext,
    RunContext,
    TaskContext,
)
from trigger_sdk.task import Task
from trigger_worker.ipc import Message

__all__ = ["context", "policy"]


def context(run: Message, task: Task[..., Any], config: Config, cancel: CancelSignal) -> Context:
    """Return the context of an attempt."""
    machine = run.get("machine") or DEFAULT_MACHINE
    batch = run.get("batchId")
    return Context(
        run=_run(run),
        task=TaskContext(task.id, task.spec.file_path),
        attempt=AttemptContext(run["attempt"], _moment(run["attemptStartedAt"])),
        queue=QueueContext(run["queue"], run.get("concurrencyKey")),
        environment=EnvironmentContext("dev", "DEVELOPMENT"),
        project=ProjectContext(config.project),
        deployment=DeploymentContext(run["version"]),
        machine=PRESETS.get(machine, PRESETS[DEFAULT_MACHINE]),
        batch=BatchContext(batch) if batch else None,
        signal=cancel,
    )


def policy(task: Task[..., Any], config: Config, run: Message) -> RetryPolicy:
    """Return how the task's failures are tried again; how often is the run's own."""
    declared = task.spec.retry or config.retry
    return RetryPolicy(
        max_attempts=run["maxAttempts"],
        factor=declared.factor,
        min_delay_ms=declared.min_delay_ms,
        max_delay_ms=declared.max_delay_ms,
        randomize=declared.randomize,
    )


def _run(run: Message) -> RunContext:
    return RunContext(
        id=run["runId"],
        created_at=_moment(run["createdAt"]),
        started_at=_moment(run["startedAt"]),
        version=run["version"],
        max_attempts=run["maxAttempts"],
        tags=tuple(run.get("tags") or ()),
        metadata=run.get("metadata"),
        is_test=run.get("isTest", False),
        is_replay=run.get("isReplay", False),
        idempotency_key=run.get("idempotencyKey"),
        max_duration=run.get("maxDuration"),
        parent_id=run.get("parentRunId"),
        root_id=run.get("rootRunId"),
        priority=run.get("priority", 0),
        traceparent=run.get("traceparent"),
    )


def _moment(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
