"""Batches: create with the number of items, then stream them (protocol A.3); read them (A.4)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from trigger_core.schemas.base import WireModel
from trigger_core.schemas.trigger import IdempotencyKeyOptions, Key, TriggerOptions
from trigger_core.schemas.workers import TaskError

__all__ = [
    "BatchCreated",
    "BatchDetail",
    "BatchDetailV1",
    "BatchItemError",
    "BatchProcessing",
    "BatchResults",
    "BatchStatus",
    "CreateBatch",
    "ItemsAdded",
    "RunResult",
    "RunUsage",
    "StreamedItem",
]

BatchStatus: TypeAlias = Literal["PENDING", "PROCESSING", "COMPLETED", "PARTIAL_FAILED", "ABORTED"]


class CreateBatch(WireModel):
    """The body of ``POST /api/v3/batches``."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"runCount": 3, "taskIdentifiers": ["send-email"]}]}
    )

    run_count: Annotated[int, Field(ge=1)]
    task_identifiers: list[str] = []
    parent_run_id: str | None = None
    resume_parent_on_completion: bool = False
    idempotency_key: Key | None = None
    idempotency_key_options: IdempotencyKeyOptions | None = None


class BatchCreated(WireModel):
    """The answer: the batch; a cached one has its items already."""

    id: str
    run_count: int
    is_cached: bool = False
    idempotency_key: str | None = None


class StreamedItem(WireModel):
    """One line of ``POST /api/v3/batches/{id}/items``."""

    index: Annotated[int, Field(ge=0)]
    task: str
    payload: Any = None
    options: TriggerOptions = TriggerOptions()


class ItemsAdded(WireModel):
    """The answer to a stream of items; ``sealed`` false means that some are missing: send all again."""

    id: str
    items_accepted: int
    items_deduplicated: int
    sealed: bool
    enqueued_count: int | None = None
    expected_count: int | None = None


class BatchItemError(WireModel):
    """An item that could not be triggered."""

    index: int
    task_identifier: str
    error: str
    error_code: str | None = None


class BatchProcessing(WireModel):
    """How the triggering went."""

    completed_at: str | None = None
    errors: list[BatchItemError] = []


class _Batch(WireModel):
    id: str
    status: BatchStatus
    idempotency_key: str | None = None
    created_at: str
    updated_at: str
    run_count: int
    runs: list[str]


class BatchDetail(_Batch):
    """The answer of ``GET /api/v2/batches/{id}``."""

    processing: BatchProcessing


class BatchDetailV1(_Batch):
    """The answer of ``GET /api/v1/batches/{id}``: how many items have a run, and those that have none."""

    successful_run_count: int
    failed_run_count: int
    errors: list[BatchItemError] | None = None


class RunUsage(WireModel):
    """What a run used: the time it executed, without its waits."""

    duration_ms: int


class RunResult(WireModel):
    """How a run ended, as a packet or an error of the union of protocol 0.11."""

    ok: bool
    id: str
    task_identifier: str
    output: str | None = None
    output_type: str | None = None
    error: TaskError | None = None
    usage: RunUsage


class BatchResults(WireModel):
    """The answer of ``GET /api/v1/batches/{id}/results``: the runs that are over, in order."""

    id: str
    items: list[RunResult]
