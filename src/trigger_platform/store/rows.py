"""Typed rows: what the named statements return, field by field in column order."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Count",
    "EdgeRow",
    "EnvironmentRow",
    "InstanceRow",
    "PayloadRow",
    "ProjectRow",
    "QueueRow",
    "RunRow",
    "SignalRow",
    "SlotsRow",
    "TaskRow",
    "TimerRow",
    "WorkerRow",
]


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project."""

    id: str
    ref: str
    name: str


@dataclass(frozen=True, slots=True)
class EnvironmentRow:
    """One environment of a project: its key, its limits, and the version that is current in it."""

    id: str
    project_id: str
    slug: str
    type: str
    secret_key: str
    concurrency_limit: int
    burst_factor: float
    paused: int
    default_ttl_ms: int | None
    current_worker_id: str | None


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A registered version of the user's code."""

    id: str
    environment_id: str
    version: str
    content_hash: str


@dataclass(frozen=True, slots=True)
class TaskRow:
    """A task of one version; ``retry`` is the policy's JSON."""

    worker_id: str
    task: str
    file_path: str
    line: int | None
    description: str | None
    queue: str
    retry: str | None
    machine: str | None
    max_duration: float | None
    ttl_ms: int | None
    isolation: str
    payload_schema: str | None


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue; ``type`` is ``task`` for the one every task has, ``custom`` for a named one."""

    environment_id: str
    name: str
    id: str
    type: str
    concurrency_limit: int | None
    paused: int


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """The process that holds a worker seat."""

    environment_id: str
    name: str
    boot_id: str
    last_seen_at: int


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run without its output; see the migration for what the columns mean."""

    id: str
    environment_id: str
    task: str
    status: str
    status_reason: str | None
    execution_status: str
    sequence: int
    attempt: int
    max_attempts: int | None
    delivery_failures: int
    queue: str
    concurrency_key: str
    position: int
    available_at: int | None
    due_at: int | None
    slot_held: int
    lease: int | None
    boot_id: str | None
    worker_id: str | None
    version: str | None
    pinned: int
    retry: str | None
    machine: str | None
    max_duration: float | None
    priority_ms: int
    delay_until: int | None
    ttl_ms: int | None
    created_at: int
    updated_at: int
    queued_at: int | None
    started_at: int | None
    attempt_started_at: int | None
    completed_at: int | None
    expired_at: int | None
    usage_ms: int
    idempotency_key: str | None
    idempotency_expires_at: int | None
    idempotency_options: str | None
    parent_id: str | None
    root_id: str | None
    depth: int
    replay_of: str | None
    batch_id: str | None
    is_test: int
    tags: str | None
    metadata: str | None
    output_type: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class PayloadRow:
    """What a run was triggered with, as a packet."""

    run_id: str
    type: str
    data: str | None


@dataclass(frozen=True, slots=True)
class SlotsRow:
    """How many slots the runs of one queue and concurrency key hold."""

    queue: str
    concurrency_key: str
    held: int


@dataclass(frozen=True, slots=True)
class EdgeRow:
    """A waitpoint that an attempt of a run waits for."""

    run_id: str
    attempt: int
    waitpoint_id: str
    ref: str


@dataclass(frozen=True, slots=True)
class SignalRow:
    """Something a worker instance has yet to be told."""

    id: int
    boot_id: str
    kind: str
    run_id: str
    lease: int
    waitpoint_id: str | None


@dataclass(frozen=True, slots=True)
class TimerRow:
    """Something due that has no column of its own."""

    kind: str
    subject_id: str
    due_at: int


@dataclass(frozen=True, slots=True)
class Count:
    """A number with a name."""

    name: str
    count: int
