"""A wait as the executor and the worker speak of it: what is waited for, and how it ended."""

from __future__ import annotations

from typing import Any

from trigger_core.errors import ApiError
from trigger_sdk._host import Ended, ForRuns, ForToken, Until, Waited, WaitRequest
from trigger_sdk._trace_headers import active_span
from trigger_worker.ipc import Message

__all__ = ["describe", "read"]

_REFUSED = 422


def describe(request: WaitRequest) -> Message:
    """Return what a message that begins a wait says about it; children hang below the span that is open."""
    match request:
        case Until(moment):
            return {"until": moment}
        case ForToken(waitpoint_id):
            return {"token": waitpoint_id}
        case ForRuns(items, is_batch):
            place = {key: one for key, one in active_span().items() if key == "traceparent"}
            return {"items": list(items), "isBatch": is_batch} | place


def read(message: Message) -> Waited:
    """Return how a wait ended.

    Raises:
        ApiError: the platform refused it.
    """
    if message["t"] == "refused":
        raise _refusal(message["error"])
    ended = tuple(
        Ended(
            ok=one["ok"],
            run_id=one.get("runId") or "",
            output=one.get("output"),
            output_type=one["outputType"],
        )
        for one in message["results"]
    )
    return Waited(ended, message.get("batchId"))


def _refusal(error: dict[str, Any]) -> ApiError:
    return ApiError(
        error["error"],
        status=_REFUSED,
        code=error.get("code"),
        because=error.get("because"),
        hint=error.get("fix"),
    )
