"""Triggering one run (protocol A.2)."""

from __future__ import annotations

import asyncio

from trigger_core.schemas.trigger import Triggered, TriggerTask
from trigger_platform.engine import trigger
from trigger_platform.http import public_token
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, Reply, endpoint
from trigger_platform.http.scopes import Resource
from trigger_platform.http.trace_headers import caller_of

__all__ = ["trigger_task"]


@endpoint(
    "POST",
    "/api/v1/tasks/{task_id}/trigger",
    access=Access.TASK_TRIGGER,
    body=TriggerTask,
    returns=Triggered,
)
async def trigger_task(call: Incoming[TriggerTask]) -> Reply:
    """Create a run of a task; a token for one use triggers one run."""
    caller, parent = call.principal, call.body.options.parent_run_id
    if parent is not None:
        caller.require("write", [Resource("runs", parent)])
    created = await call.server.write(
        trigger.create,
        call.environment_id,
        call.path("task_id"),
        call.body,
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
