"""Queues (protocol A.10)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field, model_validator

from trigger_core.schemas.base import NullableModel, WireModel

__all__ = [
    "OverrideQueue",
    "PageNumbers",
    "PauseQueue",
    "QueueConcurrency",
    "QueueDetail",
    "QueueKey",
    "QueueKeyPage",
    "QueueKind",
    "QueuePage",
    "ResetQueue",
]

QueueKind: TypeAlias = Literal["id", "task", "custom"]
"""How a queue is named: by its id, by its task's id, or by its own name."""


class QueueConcurrency(NullableModel):
    """Where a limit comes from: what counts, what code declares, what an operator put in its place."""

    current: int | None
    base: int | None
    override: int | None
    overridden_at: str | None
    overridden_by: str | None


class QueueDetail(NullableModel):
    """One queue; ``name`` of a task's queue is the task's id.

    ``running`` counts runs that hold a slot, ``queued`` those that could be claimed if there were room.
    """

    id: str
    name: str
    type: Literal["task", "custom"]
    running: int
    queued: int
    paused: bool
    concurrency_limit: int | None
    concurrency: QueueConcurrency | None = None


class PageNumbers(WireModel):
    """Which page this is, of how many, with how many things on all of them."""

    current_page: int
    total_pages: int
    count: int


class QueuePage(WireModel):
    """The answer of ``GET /api/v1/queues``, in the order of names."""

    data: list[QueueDetail]
    pagination: PageNumbers


class QueueKey(WireModel):
    """A concurrency key whose runs wait, and since when the first does; it is empty for runs without one."""

    key: str
    queued: int
    running: int
    waiting_since: str


class QueueKeyPage(WireModel):
    """The answer of ``GET /api/v1/queues/{queue}/keys``: those that wait the longest come first."""

    data: list[QueueKey]
    pagination: PageNumbers


class PauseQueue(WireModel):
    """The body of ``POST /api/v1/queues/{queue}/pause``."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"type": "task", "action": "pause"}]})

    type: QueueKind = "id"
    action: Literal["pause", "resume"]


class OverrideQueue(WireModel):
    """The body of ``POST /api/v1/queues/{queue}/concurrency/override``: exactly one of the two limits."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"type": "task", "concurrencyLimit": 5}]}
    )

    type: QueueKind = "id"
    concurrency_limit: Annotated[int, Field(ge=0, le=100_000)] | None = None
    percent: Annotated[float, Field(gt=0, le=100)] | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> OverrideQueue:
        if (self.concurrency_limit is None) == (self.percent is None):
            raise ValueError("give either concurrencyLimit or percent")
        return self


class ResetQueue(WireModel):
    """The body of ``POST /api/v1/queues/{queue}/concurrency/reset``."""

    type: QueueKind = "id"
