"""Triggering (protocol A.2, A.3)."""

from __future__ import annotations

from urllib.parse import quote

from trigger_core.api.call import Answer, Call, reading
from trigger_core.schemas.trigger import BatchTriggered, TriggerBatch, Triggered, TriggerTask

__all__ = ["batch_trigger", "trigger"]


def trigger(task_id: str, request: TriggerTask) -> Call[Triggered]:
    """Create a run of a task."""
    path = f"/api/v1/tasks/{quote(task_id, safe='')}/trigger"
    return Call("POST", path, _triggered, body=request.to_wire())


def batch_trigger(request: TriggerBatch) -> Call[BatchTriggered]:
    """Create many runs in one transaction."""
    return Call("POST", "/api/v1/tasks/batch", reading(BatchTriggered), body=request.to_wire())


def _triggered(answer: Answer) -> Triggered:
    token = answer.headers.get("x-trigger-jwt")
    triggered = Triggered.model_validate_json(answer.body)
    return triggered.model_copy(update={"public_access_token": token})
