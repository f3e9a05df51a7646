"""Actions on many runs (protocol A.17)."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import ConfigDict, Field, StringConstraints, model_validator

from trigger_core.machines import MachineName
from trigger_core.schemas.base import WireModel
from trigger_core.schemas.runs import Page

__all__ = [
    "BulkActionCounts",
    "BulkActionDetail",
    "BulkActionId",
    "BulkActionPage",
    "BulkFilter",
    "BulkQueue",
    "CreateBulkAction",
]

Texts: TypeAlias = str | list[str]
Moment: TypeAlias = str | int


class BulkQueue(WireModel):
    """A queue by its task's id or by its own name."""

    type: Literal["task", "custom"]
    name: str


class BulkFilter(WireModel):
    """Which runs, as lists of runs are filtered; several values are alternatives."""

    status: Texts | None = None
    task_identifier: Texts | None = None
    version: Texts | None = None
    from_: Moment | None = Field(default=None, alias="from")
    to: Moment | None = None
    period: str | None = None
    bulk_action: str | None = None
    tag: Texts | None = None
    schedule: str | None = None
    is_test: bool | None = None
    batch: str | None = None
    queue: BulkQueue | list[BulkQueue] | None = None
    machine: MachineName | list[MachineName] | None = None
    region: Texts | None = None


class CreateBulkAction(WireModel):
    """The body of ``POST /api/v1/bulk-actions``: exactly one of ``filter`` and ``runIds``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"action": "replay", "filter": {"status": "FAILED", "period": "1d"}}]
        }
    )

    action: Literal["cancel", "replay"]
    filter: BulkFilter | None = None
    run_ids: Annotated[list[str], Field(min_length=1, max_length=500)] | None = None
    name: Annotated[str, StringConstraints(max_length=255)] | None = None
    target_region: str | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> CreateBulkAction:
        if (self.filter is None) == (self.run_ids is None):
            raise ValueError("give either filter or runIds")
        if self.filter is not None and not _says(list(self.filter.to_wire().values())):
            raise ValueError("an empty filter would choose every run: say which")
        return self


def _says(value: object) -> bool:
    """Whether a part of a filter narrows anything down: empty lists and texts do not."""
    if isinstance(value, list):
        return any(map(_says, value))
    return bool(value.strip()) if isinstance(value, str) else value is not None


class BulkActionId(WireModel):
    """An action by its id."""

    id: str


class BulkActionCounts(WireModel):
    """How far it came; ``total`` was counted when it began."""

    total: int
    success: int
    failure: int


class BulkActionDetail(WireModel):
    """One action."""

    id: str
    name: str | None = None
    type: Literal["CANCEL", "REPLAY"]
    status: Literal["PENDING", "COMPLETED", "ABORTED"]
    counts: BulkActionCounts
    created_at: str
    completed_at: str | None = None


class BulkActionPage(WireModel):
    """A page of actions, newest first."""

    data: list[BulkActionDetail]
    pagination: Page = Page()
