"""Typed rows: what the named statements return, field by field in column order."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, fields
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple, cast

__all__ = [
    "AccessTokenRow",
    "AdditionalKeyRow",
    "AuthorizationCodeRow",
    "BatchItemRow",
    "BatchRow",
    "BlobRow",
    "BranchRow",
    "BulkActionRow",
    "CheckpointRow",
    "Count",
    "DebounceRow",
    "DeploymentRow",
    "EdgeRow",
    "EnvironmentRow",
    "EventRow",
    "InstanceRow",
    "LogRow",
    "MemberRow",
    "OrganizationRow",
    "OutputRow",
    "PayloadRow",
    "PlainKeyRow",
    "PointRow",
    "ProjectRow",
    "QueueRow",
    "RunMoveRow",
    "RunRow",
    "RunTagRow",
    "RunVersionRow",
    "ScheduleInstanceRow",
    "ScheduleRow",
    "SealedKeyRow",
    "SealedRow",
    "SealedVariableRow",
    "SignalRow",
    "SlotsRow",
    "SnapshotRow",
    "SpanRow",
    "StreamChunkRow",
    "StreamNameRow",
    "StreamRow",
    "TaskRow",
    "TelemetryRow",
    "TimerRow",
    "TraceRunRow",
    "UserRow",
    "VariableRow",
    "WaitpointRow",
    "WorkerGroupRow",
    "WorkerQueueRow",
    "WorkerRow",
    "as_params",
    "columns",
]

_WORDS = {"DEVELOPMENT": "dev", "STAGING": "staging", "PRODUCTION": "prod", "PREVIEW": "preview"}


def columns(kind: type[Any]) -> tuple[str, ...]:
    """Return the names of a row type's columns, in order."""
    if issubclass(kind, tuple):
        names: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]  # a named tuple has them
        return names
    return tuple(field.name for field in fields(kind))


def as_params(row: Any, kind: type[Any] | None = None) -> dict[str, Any]:
    """Return a row as named parameters; far quicker than ``dataclasses.asdict``, which copies deeply.

    With a ``kind`` only the columns of that row type are taken.
    """
    if kind is not None:
        names, values = _reader(cast("Hashable", kind))
        return dict(zip(names, values(row), strict=True))
    if isinstance(row, tuple):
        return dict(zip(columns(type(row)), row, strict=True))
    names, values = _reader(cast("Hashable", type(row)))
    return dict(zip(names, values(row), strict=True))


@cache
def _reader(kind: Hashable) -> tuple[tuple[str, ...], attrgetter[tuple[Any, ...]]]:
    names = columns(cast("type[Any]", kind))
    return names, attrgetter(*names)


@dataclass(frozen=True, slots=True)
class OrganizationRow:
    """An organisation: what projects and tokens belong to."""

    id: str
    slug: str
    title: str
    created_at: int


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user."""

    id: str
    email: str
    name: str | None
    password_hash: str | None
    external_id: str | None
    is_admin: int
    created_at: int


@dataclass(frozen=True, slots=True)
class AuthorizationCodeRow:
    """A command line that asks to act for a user; ``user_id`` is who approved."""

    code_hash: str
    asked_from: str
    user_id: str | None
    expires_at: int
    created_at: int


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """A user who may join an organisation, by a link that is known by its hash alone."""

    token_hash: str
    organization_id: str
    user_id: str
    role: str
    expires_at: int
    created_at: int


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A user as a member of an organisation."""

    user_id: str
    email: str
    name: str | None
    role: str
    created_at: int


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project of an organisation."""

    id: str
    ref: str
    name: str
    organization_id: str
    slug: str
    initialized_at: int | None
    deleted_at: int | None
    created_at: int


@dataclass(frozen=True, slots=True)
class AccessTokenRow:
    """A token of a user, or of an organisation with a role in it; ``hint`` shows its ends."""

    id: str
    token_hash: str
    name: str
    user_id: str | None
    organization_id: str | None
    role: str | None
    hint: str
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None
    created_at: int


@dataclass(frozen=True, slots=True)
class AdditionalKeyRow:
    """A key beside an environment's root key; ``scopes`` is a JSON array, or none for all."""

    id: str
    environment_id: str
    key_hash: str
    name: str
    hint: str
    scopes: str | None
    created_by: str | None
    expires_at: int | None
    last_used_at: int | None
    revoked_at: int | None
    created_at: int


@dataclass(frozen=True, slots=True)
class SealedRow:
    """Something that is sealed."""

    sealed: str


@dataclass(frozen=True, slots=True)
class WorkerGroupRow:
    """Supervisors that share a token."""

    id: str
    name: str
    description: str | None
    type: str
    token_hash: str
    last_heartbeat_at: int | None
    updated_at: int
    created_at: int


@dataclass(frozen=True, slots=True)
class BranchRow:
    """A branch in the list of a project's; ``git`` is JSON."""

    id: str
    name: str
    created_at: int
    updated_at: int
    git: str | None
    paused: int


@dataclass(frozen=True, slots=True)
class EnvironmentRow:
    """One environment of a project: its key, its limits, and the version that is current in it.

    Attributes:
        slug: unique in the project.
        owner_id: whose it is, if it is one of development.
        parent_id: the environment whose branch it is; the parent's key opens both.
        branch: the branch's name.
        tokens_since: public tokens that were signed earlier are refused.
        is_mixed: whether sessions of several languages serve it.
        revoking_until: when the last of its public tokens that were revoked expires.
    """

    id: str
    project_id: str
    slug: str
    type: str
    secret_key_hash: str
    secret_key_sealed: str
    secrets_version: int
    concurrency_limit: int
    burst_factor: float
    paused: int
    queue_size_limit: int | None
    default_ttl_ms: int | None
    max_ttl_ms: int | None
    current_worker_id: str | None
    served: int
    archived_at: int | None
    owner_id: str | None
    parent_id: str | None
    branch: str | None
    tokens_since: int
    is_mixed: int
    revoking_until: int

    @property
    def word(self) -> str:
        """What a path calls it; a project has several of development, and branches of some."""
        return _WORDS[self.type]


@dataclass(frozen=True, slots=True)
class PlainKeyRow:
    """An environment of an earlier version: what is now the column of the hash holds the key itself."""

    id: str
    parent_id: str | None
    secret_key_hash: str


@dataclass(frozen=True, slots=True)
class SealedKeyRow:
    """The sealed key of an environment."""

    id: str
    parent_id: str | None
    secret_key_sealed: str


@dataclass(frozen=True, slots=True)
class KeptAnswerRow:
    """What somebody was answered who may ask again."""

    owner: str
    scope: str
    token: str
    answer: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class SealedVariableRow:
    """The sealed value of a variable."""

    environment_id: str
    name: str
    sealed: str


@dataclass(frozen=True, slots=True)
class VariableRow:
    """A variable of an environment; its value is sealed."""

    environment_id: str
    name: str
    sealed: str
    is_secret: int
    version: int
    source: str | None
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A registered version of the user's code."""

    id: str
    environment_id: str
    version: str
    content_hash: str
    language: str


@dataclass(frozen=True, slots=True)
class VersionRow:
    """All that was said of a version when it was registered; ``metadata`` is JSON."""

    id: str
    version: str
    content_hash: str
    sdk_version: str
    metadata: str
    created_at: int


@dataclass(frozen=True, slots=True)
class WorkerQueueRow:
    """A queue of one version, with the limit its code declares."""

    worker_id: str
    queue: str
    type: str
    concurrency_limit: int | None


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
    trigger_source: str
    schedule: str | None


@dataclass(frozen=True, slots=True)
class DeploymentRow:
    """An immutable build of the user's code; of one that is UNMANAGED somebody else runs the machines."""

    id: str
    environment_id: str
    version: str
    short_code: str
    content_hash: str
    type: str
    status: str
    worker_id: str | None
    external_id: str | None
    image_reference: str | None
    image_platform: str
    runtime: str | None
    triggered_via: str | None
    git: str | None
    error: str | None
    due_at: int | None
    created_at: int
    deployed_at: int | None
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class QueueRow:
    """A queue; ``type`` is ``task`` for the one every task has, ``custom`` for a named one.

    ``concurrency_limit`` is what counts: the override if there is one, else ``base_limit`` of the code.
    ``last_key`` is the concurrency key that was served last.
    """

    environment_id: str
    name: str
    id: str
    type: str
    concurrency_limit: int | None
    base_limit: int | None
    override_limit: int | None
    override_percent: float | None
    overridden_at: int | None
    overridden_by: str | None
    paused: int
    last_key: str
    created_at: int


@dataclass(frozen=True, slots=True)
class InstanceRow:
    """The process that holds a worker seat."""

    environment_id: str
    name: str
    boot_id: str
    last_seen_at: int


class RunRow(NamedTuple):
    """A run without its output; see the migration for what the columns mean.

    A tuple: rows are read, changed by ``_replace`` and written many times a second, and a frozen dataclass
    of this width costs five times as much to make.
    """

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
    anchor: int
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
    one_time_token: str | None
    parent_id: str | None
    root_id: str | None
    depth: int
    replay_of: str | None
    batch_id: str | None
    batch_position: int | None
    schedule_id: str | None
    schedule_instance_id: str | None
    nominal_at: int | None
    external_deployment_id: str | None
    checkpoint_id: str | None
    annotations: str | None
    is_test: int
    tags: str | None
    seed_metadata: str | None
    metadata: str | None
    metadata_version: int
    output_type: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class RunMoveRow:
    """The columns of a run that a transition may change."""

    status: str
    status_reason: str | None
    execution_status: str
    sequence: int
    attempt: int
    max_attempts: int | None
    delivery_failures: int
    queue: str
    position: int
    available_at: int | None
    anchor: int
    delay_until: int | None
    checkpoint_id: str | None
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
    updated_at: int
    queued_at: int | None
    started_at: int | None
    attempt_started_at: int | None
    completed_at: int | None
    expired_at: int | None
    usage_ms: int
    output_type: str | None
    error: str | None


class SnapshotRow(NamedTuple):
    """One step of a run."""

    run_id: str
    sequence: int
    execution_status: str
    run_status: str
    attempt: int
    description: str
    boot_id: str | None
    error: str | None
    created_at: int


class EventRow(NamedTuple):
    """A fact in the outbox."""

    environment_id: str
    kind: str
    subject_id: str
    sequence: int
    created_at: int


@dataclass(frozen=True, slots=True)
class LogRow:
    """A line that a run wrote; ``number`` tells lines of a lease apart, so that each is written once."""

    run_id: str
    attempt: int
    time: int
    level: str
    source: str
    message: str
    attributes: str | None
    span_id: str | None = None
    lease: int = 0
    number: int | None = None


@dataclass(frozen=True, slots=True)
class SpanRow:
    """A span of a run's own code; one without an end is announced. Moments in ns."""

    run_id: str
    span_id: str
    trace_id: str
    parent_id: str | None
    name: str
    started_ns: int
    ended_ns: int | None
    is_error: int
    message: str | None
    attributes: str | None
    events: str | None
    links: str | None
    bytes: int
    received_at: int


@dataclass(frozen=True, slots=True)
class PointRow:
    """A data point of a metric that a run exported; ``number`` is a digest of it. Moments in ns."""

    run_id: str
    number: int
    name: str
    kind: str
    unit: str | None
    started_ns: int | None
    time_ns: int
    value: float | None
    details: str | None
    attributes: str | None
    bytes: int
    received_at: int


@dataclass(frozen=True, slots=True)
class TraceRunRow:
    """What the trace shows of a run."""

    id: str
    parent_id: str | None
    task: str
    status: str
    attempt: int
    version: str | None
    queue: str
    machine: str | None
    created_at: int
    started_at: int | None
    completed_at: int | None
    usage_ms: int
    annotations: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class TelemetryRow:
    """How much a run has told over OpenTelemetry, and how much was refused."""

    run_id: str
    records: int
    bytes: int
    refused: int


@dataclass(frozen=True, slots=True)
class PayloadRow:
    """What a run was triggered with, as a packet."""

    run_id: str
    type: str
    data: str | None


@dataclass(frozen=True, slots=True)
class BlobRow:
    """A packet that lies elsewhere; type and size are known once it was uploaded through this server."""

    environment_id: str
    path: str
    type: str | None
    size: int | None
    created_at: int
    removed_at: int | None


@dataclass(frozen=True, slots=True)
class BulkActionRow:
    """Something that is done to many runs: ``chosen`` is a filter or ids, ``below`` how far it came."""

    id: str
    environment_id: str
    name: str | None
    type: str
    status: str
    chosen: str
    below: str
    total: int
    success: int
    failure: int
    created_at: int
    completed_at: int | None


@dataclass(frozen=True, slots=True)
class OutputRow:
    """What a run returned."""

    id: str
    output: str | None


@dataclass(frozen=True, slots=True)
class RunTagRow:
    """A run has a tag."""

    environment_id: str
    tag: str
    run_id: str


@dataclass(frozen=True, slots=True)
class RunVersionRow:
    """How often a run has changed; the number only grows."""

    id: str
    environment_id: str
    version: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class StreamRow:
    """A stream of a run: how many values went through it, and how many bytes they have."""

    run_id: str
    name: str
    length: int
    bytes: int


@dataclass(frozen=True, slots=True)
class StreamChunkRow:
    """A value of a stream, as JSON."""

    run_id: str
    name: str
    position: int
    data: str
    created_at: int


@dataclass(frozen=True, slots=True)
class StreamNameRow:
    """A run has a stream."""

    run_id: str
    name: str


@dataclass(frozen=True, slots=True)
class SlotsRow:
    """How many slots the runs of one queue and concurrency key hold."""

    queue: str
    concurrency_key: str
    held: int


@dataclass(frozen=True, slots=True)
class BatchRow:
    """Runs that are triggered together; sealed once all items have arrived, over once all are settled."""

    id: str
    environment_id: str
    status: str
    run_count: int
    accepted: int
    settled: int
    failed: int
    parent_id: str | None
    parent_attempt: int | None
    idempotency_key: str | None
    idempotency_expires_at: int | None
    seal_due_at: int | None
    sealed_at: int | None
    created_at: int
    completed_at: int | None
    triggered_by: str | None
    caller: str | None


@dataclass(frozen=True, slots=True)
class BatchItemRow:
    """What became of one item of a batch: a run, or an error."""

    batch_id: str
    position: int
    task: str
    run_id: str | None
    is_cached: int
    error: str | None
    error_code: str | None


@dataclass(frozen=True, slots=True)
class WaitpointRow:
    """Something to wait for: a run's end, a moment, a token, a batch."""

    id: str
    environment_id: str
    type: str
    status: str
    run_id: str | None
    batch_id: str | None
    key: str | None
    key_expires_at: int | None
    inactive_key: str | None
    due_at: int | None
    tags: str | None
    output: str | None
    output_type: str | None
    is_error: int
    created_at: int
    completed_at: int | None


@dataclass(frozen=True, slots=True)
class EdgeRow:
    """A waitpoint that an attempt of a run waits for; ``position`` is its place in a batch, else -1."""

    run_id: str
    attempt: int
    waitpoint_id: str
    position: int
    ref: str
    delivered: int
    created_at: int


@dataclass(frozen=True, slots=True)
class DebounceRow:
    """The run that collects triggers of one debounce key."""

    environment_id: str
    task: str
    key: str
    run_id: str
    created_at: int


@dataclass(frozen=True, slots=True)
class CheckpointRow:
    """Where a run was suspended."""

    id: str
    run_id: str
    sequence: int
    kind: str
    location: str
    image_reference: str | None
    reason: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class ScheduleRow:
    """When a task is triggered by the clock; ``spread`` is its distribution window."""

    id: str
    project_id: str
    environment_id: str
    type: str
    task: str
    deduplication_key: str
    is_user_key: int
    expression: str
    timezone: str
    spread: str | None
    catch_up: str
    external_id: str | None
    active: int
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True)
class ScheduleInstanceRow:
    """A schedule in one environment."""

    id: str
    schedule_id: str
    environment_id: str
    next_nominal_at: int | None
    next_fire_at: int | None
    last_nominal_at: int | None
    skipped_at: int | None
    skip_reason: str | None
    created_at: int


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
