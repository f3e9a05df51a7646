"""Queues (protocol A.10): look, pause, override the limit."""

from __future__ import annotations

from typing import Any, cast, get_args
from urllib.parse import unquote

from trigger_core import clock
from trigger_core.errors import UsageError
from trigger_core.schemas.queues import (
    OverrideQueue,
    PauseQueue,
    QueueDetail,
    QueueKey,
    QueueKeyPage,
    QueueKind,
    QueuePage,
    ResetQueue,
)
from trigger_platform.engine import queue
from trigger_platform.http import present, query
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint
from trigger_platform.http.parameter import word
from trigger_platform.reads import queue_keys

__all__ = [
    "list_keys",
    "list_queues",
    "override_queue",
    "pause_queue",
    "reset_queue",
    "retrieve_queue",
]


@endpoint(
    "GET", "/api/v1/queues", access=Access.QUEUE_READER, returns=QueuePage, query=query.NUMBERED
)
async def list_queues(call: Incoming[None]) -> QueuePage:
    """List queues in the order of their names."""
    number = call.number("page", 1, low=1, high=10**9)
    size = min(100, call.number("perPage", 25, low=1, high=10**9))
    found = await call.server.read(queue.page, call.environment_id, number, size)
    return QueuePage(
        data=[present.queue(view) for view in found.queues],
        pagination=present.page_numbers(number, size, found.total),
    )


@endpoint(
    "GET",
    "/api/v1/queues/{queue:path}",
    access=Access.QUEUE_READER,
    returns=QueueDetail,
    query=(
        word("type", get_args(QueueKind), says="How the queue is named; by its id, if absent."),
    ),
)
async def retrieve_queue(call: Incoming[None]) -> QueueDetail:
    """Read one queue by its id, its task or its name."""
    found = await call.server.read(queue.find, call.environment_id, _kind(call), _name(call))
    return present.queue(found)


@endpoint(
    "GET",
    "/api/v1/queues/{queue:path}/keys",
    access=Access.QUEUE_READER,
    returns=QueueKeyPage,
    query=query.NUMBERED,
)
async def list_keys(call: Incoming[None]) -> QueueKeyPage:
    """List the concurrency keys whose runs wait, the longest first (an addition of ours)."""
    number = call.number("page", 1, low=1, high=10**9)
    size = min(100, call.number("perPage", 25, low=1, high=10**9))
    found = await call.server.read(
        queue_keys.page, call.environment_id, _kind(call), _name(call), number=number, size=size
    )
    return QueueKeyPage(
        data=[
            QueueKey(
                key=row.key,
                queued=row.queued,
                running=row.running,
                waiting_since=clock.to_iso(row.since),
            )
            for row in found.keys
        ],
        pagination=present.page_numbers(number, size, found.total),
    )


@endpoint(
    "POST",
    "/api/v1/queues/{queue:path}/pause",
    access=Access.QUEUE_WRITER,
    body=PauseQueue,
    returns=QueueDetail,
)
async def pause_queue(call: Incoming[PauseQueue]) -> QueueDetail:
    """Start nothing new in a queue, or go on."""
    changed = await call.server.write(
        queue.pause,
        call.environment_id,
        call.body.type,
        _name(call),
        paused=call.body.action == "pause",
    )
    return present.queue(changed)


@endpoint(
    "POST",
    "/api/v1/queues/{queue:path}/concurrency/override",
    access=Access.QUEUE_WRITER,
    body=OverrideQueue,
    returns=QueueDetail,
)
async def override_queue(call: Incoming[OverrideQueue]) -> QueueDetail:
    """Put a limit in the place of the declared one."""
    changed = await call.server.write(
        queue.override,
        call.environment_id,
        call.body.type,
        _name(call),
        limit=call.body.concurrency_limit,
        percent=call.body.percent,
    )
    return present.queue(changed)


@endpoint(
    "POST",
    "/api/v1/queues/{queue:path}/concurrency/reset",
    access=Access.QUEUE_WRITER,
    body=ResetQueue,
    returns=QueueDetail,
    is_body_optional=True,
)
async def reset_queue(call: Incoming[ResetQueue]) -> QueueDetail:
    """Let the declared limit count again."""
    changed = await call.server.write(queue.reset, call.environment_id, call.body.type, _name(call))
    return present.queue(changed)


def _kind(call: Incoming[Any]) -> QueueKind:
    kind = call.query("type", "id")
    if kind not in get_args(QueueKind):
        raise UsageError(
            f"Query Error: type must be id, task or custom, not {kind!r}", code="INVALID_QUERY"
        )
    return cast("QueueKind", kind)


def _name(call: Incoming[Any]) -> str:
    """A slash in the name arrives encoded twice from some clients; once it has been decoded already."""
    return unquote(call.path("queue"))
