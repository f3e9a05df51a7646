"""The development session of the TypeScript command line (protocol D)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from trigger_core import ids
from trigger_core.schemas.execution import (
    AttemptCompleted,
    AttemptStarted,
    CompleteAttempt,
    DebugLog,
    Dequeue,
    Dequeued,
    DevConfig,
    DevStatus,
    Disconnect,
    Disconnected,
    Heartbeat,
    LaterSnapshots,
    LatestSnapshot,
    Ok,
    StartAttempt,
)
from trigger_platform.engine import environment, schedule_instance, snapshot_channel
from trigger_platform.engine.snapshot_channel import Given
from trigger_platform.http import (
    given_variables,
    long_poll,
    present_execution,
    read_execution,
)
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint
from trigger_platform.http.server import Server
from trigger_platform.store.rows import RunRow

__all__ = [
    "complete_attempt",
    "dequeue_run",
    "disconnect",
    "heartbeat_run",
    "keep_presence",
    "later_snapshots",
    "latest_snapshot",
    "log_debug",
    "read_config",
    "read_status",
    "start_attempt",
]

_log = logging.getLogger(__name__)
_RUN = "/engine/v1/dev/runs/{run_id}"
_SNAPSHOT = _RUN + "/snapshots/{snapshot_id}"
_PRESENCE_S = 4.0
_HOLD_MS = 10_000
_MAX_RUNS = 500
_OUTPUT_LIMIT = 32 * 1024 * 1024


@endpoint("GET", "/engine/v1/dev/config", access=Access.ENVIRONMENT, returns=DevConfig)
async def read_config(call: Incoming[None]) -> DevConfig:
    """Say how often a session asks for runs, and where.

    A waiting run keeps its place in the session, so a session has far more places than slots: children that
    parents wait for must find one.
    """
    return DevConfig(
        environment_id=call.environment_id,
        dequeue_interval_with_run=10,
        dequeue_interval_without_run=200,
        max_concurrent_runs=_MAX_RUNS,
        engine_url=call.base_url,
    )


@endpoint(
    "GET",
    "/api/v1/projects/{project_ref}/dev-status",
    access=Access.PROJECT_DEVELOPER,
    returns=DevStatus,
)
async def read_status(call: Incoming[None]) -> DevStatus:
    """Tell whether a session of the caller is there."""
    user_id = call.principal.user_id
    here = (
        await call.server.units.read(environment.find_developers, call.project, user_id)
        if user_id
        else None
    )
    if here is None:
        return DevStatus(is_connected=False)
    is_there = await call.server.read(schedule_instance.is_served, here.id)
    return DevStatus(is_connected=is_there)


@endpoint("GET", "/engine/v1/dev/presence", access=Access.ENVIRONMENT, media="text/event-stream")
async def keep_presence(call: Incoming[None]) -> StreamingResponse:
    """Note that a session is there for as long as it listens."""
    await call.server.write(snapshot_channel.sit, call.environment_id)
    stream = _presence(call.server, call.environment_id)
    return StreamingResponse(stream, media_type="text/event-stream")


@endpoint(
    "POST",
    "/engine/v1/dev/dequeue",
    access=Access.ENVIRONMENT,
    body=Dequeue,
    returns=Dequeued,
)
async def dequeue_run(call: Incoming[Dequeue]) -> Dequeued:
    """Hand out a run, or wait a while for one; who has gone meanwhile is given none."""
    here = call.principal.environment

    async def look() -> list[Given] | None:
        if await call.request.is_disconnected():
            return None
        worker = call.body.current_worker
        return await call.server.write(snapshot_channel.next_run, call.environment_id, worker)

    found = await long_poll.until_found(
        call,
        snapshot_channel.boot_id(here),
        look,
        lambda claimed: claimed is None or len(claimed) > 0,
        wait_ms=_HOLD_MS,
    )
    now = call.server.units.clock.now()
    return Dequeued(
        dequeued_messages=[present_execution.dequeued(run, here, now) for run in found or ()]
    )


@endpoint(
    "POST",
    _SNAPSHOT + "/attempts/start",
    access=Access.ENVIRONMENT,
    body=StartAttempt,
    returns=AttemptStarted,
    is_body_optional=True,
)
async def start_attempt(call: Incoming[StartAttempt]) -> AttemptStarted:
    """Begin an attempt, and return everything its code is given."""
    attempt = await call.server.write(
        snapshot_channel.start, call.environment_id, call.path("run_id"), call.path("snapshot_id")
    )
    begun = snapshot_channel.begun(attempt, call.path("snapshot_id"))
    environment = call.principal.environment
    given = given_variables.of_attempt(call, environment, begun)
    return present_execution.started(begun, environment, given)


@endpoint(
    "POST",
    _SNAPSHOT + "/attempts/complete",
    access=Access.ENVIRONMENT,
    body=CompleteAttempt,
    returns=AttemptCompleted,
    body_limit=_OUTPUT_LIMIT,
)
async def complete_attempt(call: Incoming[CompleteAttempt]) -> AttemptCompleted:
    """End an attempt."""
    told = call.body.completion
    ended = await call.server.write(
        snapshot_channel.complete,
        call.environment_id,
        call.path("snapshot_id"),
        read_execution.completion(call.path("run_id"), told),
        read_execution.change(call.path("run_id"), told.flushed_metadata),
    )
    return AttemptCompleted(result=present_execution.completed(ended))


@endpoint(
    "POST",
    _SNAPSHOT + "/heartbeat",
    access=Access.ENVIRONMENT,
    body=Heartbeat,
    returns=Ok,
    is_body_optional=True,
)
async def heartbeat_run(call: Incoming[Heartbeat]) -> Ok:
    """Keep the lease of a run; that of an earlier attempt is not refused, it only keeps nothing."""
    await call.server.write(
        snapshot_channel.extend, call.environment_id, call.path("run_id"), call.path("snapshot_id")
    )
    return Ok()


@endpoint("GET", _RUN + "/snapshots/latest", access=Access.ENVIRONMENT, returns=LatestSnapshot)
async def latest_snapshot(call: Incoming[None]) -> LatestSnapshot:
    """Say where a run is, and which waits are over."""
    run_id = call.path("run_id")
    found = await call.server.read(snapshot_channel.latest, call.environment_id, run_id)
    await _show_life(call, found.run)
    return LatestSnapshot(execution=present_execution.latest(found))


@endpoint(
    "GET",
    _RUN + "/snapshots/since/{snapshot_id}",
    access=Access.ENVIRONMENT,
    returns=LaterSnapshots,
)
async def later_snapshots(call: Incoming[None]) -> LaterSnapshots:
    """Say what has happened to a run since a snapshot."""
    run_id, snapshot = call.path("run_id"), call.path("snapshot_id")
    found = await call.server.read(snapshot_channel.since, call.environment_id, run_id, snapshot)
    await _show_life(call, found.run)
    return LaterSnapshots(snapshots=present_execution.since(found))


@endpoint("POST", _RUN + "/logs/debug", access=Access.ENVIRONMENT, body=DebugLog, statuses=(204,))
async def log_debug(_call: Incoming[DebugLog]) -> Response:
    """Hear what a worker remarks about itself; nothing is kept."""
    return Response(status_code=204)


@endpoint(
    "POST",
    "/engine/v1/dev/disconnect",
    access=Access.ENVIRONMENT,
    body=Disconnect,
    returns=Disconnected,
)
async def disconnect(call: Incoming[Disconnect]) -> Disconnected:
    """Take its runs from a session that was killed: they are tried again like those of any lost worker."""
    taken = await call.server.write(
        snapshot_channel.disconnect, call.environment_id, call.body.run_friendly_ids
    )
    return Disconnected(cancelled=taken)


async def _show_life(call: Incoming[None], run: RunRow) -> None:
    """That somebody reads the snapshot of a run shows that its worker lives."""
    if snapshot_channel.is_running_out(run, call.server.units.clock.now()):
        newest = ids.snapshot_id(run.id, run.sequence)
        await call.server.write(snapshot_channel.extend, call.environment_id, run.id, newest)


async def _presence(server: Server, environment_id: str) -> AsyncIterator[str]:
    yield "event: start\ndata: {}\n\n"
    while not await server.hub.closes_within(_PRESENCE_S):
        await server.write(snapshot_channel.sit, environment_id)
        yield "event: time\ndata: {}\n\n"
