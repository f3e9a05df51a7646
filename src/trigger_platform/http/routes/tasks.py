"""Triggering one run (protocol A.2)."""

from __future__ import annotations

import asyncio

from trigger_core.errors import UsageError
from trigger_core.schemas.trigger import Triggered, TriggerTask
from trigger_platform.engine import trigger
from trigger_platform.http import public_token
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, Reply, endpoint
from trigger_platform.http.scopes import Resource
from trigger_platform.http.trace_headers import caller_of

__all__ = ["trigger_task"]

_READ = {b"idempotency-key", b"x-trigger-engine-version"}
_LONGEST_KEY = 2048


@endpoint(
    "POST",
    "/api/v1/tasks/{task_id:path}/trigger",
    access=Access.TASK_TRIGGER,
    body=TriggerTask,
    returns=Triggered,
)
async def trigger_task(call: Incoming[TriggerTask]) -> Reply:
    """Create a run of a task; a token for one use triggers one run."""
    request = _with_headers(call)
    caller, parent = call.principal, request.options.parent_run_id
    if parent is not None:
        caller.require("write", [Resource("runs", parent)])
    created = await call.server.write(
        trigger.create,
        call.environment_id,
        call.path("task_id"),
        request,
        key=call.request_key(),
        one_time_token=caller.public.once if caller.public else None,
        caller=caller_of(call.request),
    )
    await asyncio.sleep(0)  # a worker that waits takes the run before its caller is answered
    units = call.server.units
    headers = public_token.headers_for_run(
        units.keys, caller.environment, created.id, units.clock.now()
    )
    return Reply(Triggered(id=created.id, is_cached=created.is_cached), headers)


def _with_headers(call: Incoming[TriggerTask]) -> TriggerTask:
    """Return the body with the idempotency key that a header gives, unless it has one (protocol 0.2).

    Raises:
        UsageError: a header says what cannot be.
    """
    if not any(name in _READ for name, _ in call.request.scope["headers"]):
        return call.body
    headers, options = call.request.headers, call.body.options
    if headers.get("x-trigger-engine-version", "V2") not in {"V1", "V2"}:
        raise _bad("x-trigger-engine-version must be V1 or V2")
    key = headers.get("idempotency-key")
    if not key or options.idempotency_key is not None:
        return call.body
    if len(key) > _LONGEST_KEY:
        raise _bad(f"idempotency-key has at most {_LONGEST_KEY} characters")
    given = {"idempotency_key": key, "idempotency_key_ttl": headers.get("idempotency-key-ttl")}
    return call.body.model_copy(update={"options": options.model_copy(update=given)})


def _bad(what: str) -> UsageError:
    return UsageError(f"Headers Error: {what}", code="INVALID_HEADER")
