"""Triggering runs: one (protocol A.2) or a batch (protocol A.3, older form)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from trigger_core.machines import MachineName
from trigger_core.schemas.base import WireModel

__all__ = [
    "BatchItem",
    "BatchRun",
    "BatchTriggered",
    "Debounce",
    "IdempotencyKeyOptions",
    "QueueChoice",
    "Tag",
    "TaskBatchTriggered",
    "TaskItem",
    "TriggerBatch",
    "TriggerOptions",
    "TriggerTask",
    "TriggerTaskBatch",
    "Triggered",
]

Tag = Annotated[str, StringConstraints(max_length=128)]
Key = Annotated[str, StringConstraints(max_length=2048)]


class QueueChoice(WireModel):
    """The queue a run goes to, by name."""

    name: str


class IdempotencyKeyOptions(WireModel):
    """The key as the user wrote it, and what it was salted with."""

    key: str
    scope: Literal["run", "attempt", "global"]


class Debounce(WireModel):
    """Collapse triggers of one key into one delayed run.

    ``leading`` keeps the data of the first trigger, ``trailing`` takes that of the newest.
    """

    key: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    delay: str
    mode: Literal["leading", "trailing"] = "leading"
    max_delay: str | None = None


class TriggerOptions(WireModel):
    """Everything about a run but its payload; all optional."""

    payload_type: str | None = None
    payload_size: int | None = None
    queue: QueueChoice | None = None
    concurrency_key: str | int | float | None = None
    delay: str | None = None
    debounce: Debounce | None = None
    ttl: Annotated[int, Field(ge=0)] | str | None = None
    idempotency_key: Key | None = None
    idempotency_key_ttl: str | None = Field(default=None, alias="idempotencyKeyTTL")
    idempotency_key_options: IdempotencyKeyOptions | None = None
    machine: MachineName | None = None
    max_attempts: Annotated[int, Field(ge=1)] | None = None
    max_duration: float | None = None
    metadata: Any = None
    metadata_type: str | None = None
    tags: list[Tag] | Tag | None = None
    test: bool = False
    priority: float | None = None
    lock_to_version: str | None = None
    external_deployment_id: Annotated[str, StringConstraints(max_length=128)] | None = None
    parent_run_id: str | None = None
    resume_parent_on_completion: bool = False


class TriggerTask(WireModel):
    """The body of ``POST /api/v1/tasks/{taskId}/trigger``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"payload": {"to": "a@example.com"}, "options": {"tags": ["user_1"], "delay": "1h"}}
            ]
        }
    )

    payload: Any = None
    context: Any = None
    options: TriggerOptions = TriggerOptions()


class Triggered(WireModel):
    """The answer to a trigger; the token comes in the header ``x-trigger-jwt``."""

    id: str
    is_cached: bool
    public_access_token: str | None = None


class BatchItem(WireModel):
    """One run of a batch."""

    task: str
    payload: Any = None
    options: TriggerOptions = TriggerOptions()


class TriggerBatch(WireModel):
    """The body of ``POST /api/v1/tasks/batch``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"items": [{"task": "send-email", "payload": {"to": "a@example.com"}}]}]
        }
    )

    items: Annotated[list[BatchItem], Field(min_length=1, max_length=1000)]


class TaskItem(WireModel):
    """One run of a batch of one task."""

    payload: Any = None
    options: TriggerOptions = TriggerOptions()


class TriggerTaskBatch(WireModel):
    """The body of ``POST /api/v1/tasks/{taskId}/batch`` (older clients)."""

    items: Annotated[list[TaskItem], Field(min_length=1, max_length=100)]


class TaskBatchTriggered(WireModel):
    """The answer: the batch, and the runs in the order of the items."""

    batch_id: str
    runs: list[str]


class BatchRun(WireModel):
    """One run of a created batch."""

    id: str
    task_identifier: str
    is_cached: bool


class BatchTriggered(WireModel):
    """The answer to a batch trigger; runs stand in the order of the items."""

    id: str
    is_cached: bool = False
    runs: list[BatchRun]
