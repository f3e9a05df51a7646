"""A run from a row of a feed, as reads show it (protocol C.1.4, H.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trigger_core import packet
from trigger_core.schemas.runs import RunDetail

__all__ = ["detail"]

_PUBLIC = {
    "PENDING": "QUEUED",
    "WAITING_FOR_DEPLOY": "PENDING_VERSION",
    "RETRYING_AFTER_FAILURE": "EXECUTING",
    "WAITING_TO_RESUME": "WAITING",
    "PAUSED": "WAITING",
    "COMPLETED_SUCCESSFULLY": "COMPLETED",
    "COMPLETED_WITH_ERRORS": "FAILED",
    "INTERRUPTED": "FAILED",
}
_QUEUED = frozenset({"PENDING_VERSION", "QUEUED", "DELAYED"})
_EXECUTING = frozenset({"DEQUEUED", "EXECUTING"})
_OVER = frozenset(
    {"COMPLETED", "CANCELED", "FAILED", "CRASHED", "SYSTEM_FAILURE", "EXPIRED", "TIMED_OUT"}
)


def detail(row: Mapping[str, Any]) -> RunDetail:
    """Return what a row says about a run; columns that were left out are as if they were empty."""
    status = _PUBLIC.get(row["status"], row["status"])
    is_over, is_success = status in _OVER, status == "COMPLETED"
    fields = {
        "id": row["friendlyId"],
        "status": status,
        "taskIdentifier": row["taskIdentifier"],
        "idempotencyKey": row.get("idempotencyKey"),
        "isQueued": status in _QUEUED,
        "isExecuting": status in _EXECUTING,
        "isWaiting": status == "WAITING",
        "isCompleted": is_over,
        "isSuccess": is_success,
        "isFailed": is_over and not is_success,
        "isCancelled": status == "CANCELED",
        "isTest": row.get("isTest") or False,
        "createdAt": row["createdAt"],
        "updatedAt": row["updatedAt"],
        "startedAt": row.get("startedAt"),
        "finishedAt": row.get("completedAt"),
        "delayedUntil": row.get("delayUntil"),
        "expiredAt": row.get("expiredAt"),
        "ttl": row.get("ttl"),
        "tags": row.get("runTags") or [],
        "durationMs": row.get("usageDurationMs") or 0,
        "costInCents": row.get("costInCents") or 0,
        "baseCostInCents": row.get("baseCostInCents") or 0,
        "metadata": _plain(row, "metadata"),
        "payload": _plain(row, "payload"),
        "output": _plain(row, "output") if is_success else None,
        "error": _error(row.get("error")),
    }
    return RunDetail.model_validate({name: one for name, one in fields.items() if one is not None})


def _plain(row: Mapping[str, Any], name: str) -> Any:
    kind = row.get(f"{name}Type")
    return None if kind is None else packet.to_plain(row.get(name), kind)


def _error(error: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return an error of the union of protocol 0.11 as reads show it."""
    if error is None:
        return None
    message = error.get("message") or error.get("raw") or error.get("code") or ""
    names = ("name", "stackTrace", "code")
    return {"message": message} | {name: error[name] for name in names if error.get(name)}
