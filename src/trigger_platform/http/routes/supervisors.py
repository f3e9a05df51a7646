"""Supervisors: they take runs of all deployed environments, and speak for the runners (protocol F.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from starlette.responses import Response

from trigger_core import ids
from trigger_core.errors import UsageError
from trigger_core.schemas.execution import (
    AttemptCompleted,
    AttemptStarted,
    CompleteAttempt,
    DebugLog,
    Heartbeat,
    LaterSnapshots,
    LatestSnapshot,
    Ok,
    StartAttempt,
)
from trigger_core.schemas.supervisors import (
    ConnectSupervisor,
    ContinuedRun,
    DequeueRuns,
    ManagedMessages,
    SupervisorConnected,
    SupervisorGroup,
    SupervisorHeartbeat,
    SuspendRun,
)
from trigger_core.schemas.workers import Suspended
from trigger_platform.engine import (
    snapshot_channel,
    supervisor,
    suspension,
    worker_group,
)
from trigger_platform.engine.snapshot_channel import Attempt
from trigger_platform.engine.supervisor import Taken
from trigger_platform.engine.unit import Unit
from trigger_platform.http import (
    given_variables,
    long_poll,
    present_execution,
    read_execution,
    supervisor_headers,
)
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, endpoint
from trigger_platform.store.rows import EnvironmentRow, RunRow, WorkerGroupRow

__all__ = [
    "complete_managed_attempt",
    "connect_supervisor",
    "continue_run",
    "debug_managed_run",
    "dequeue_nothing",
    "dequeue_runs",
    "heartbeat_managed_run",
    "heartbeat_supervisor",
    "latest_managed_snapshot",
    "snapshots_since",
    "start_managed_attempt",
    "suspend_run",
]

P = ParamSpec("P")
T = TypeVar("T")

_ACTIONS = "/engine/v1/worker-actions"
_RUN = _ACTIONS + "/runs/{run_id}"
_SNAPSHOT = _RUN + "/snapshots/{snapshot_id}"
_OUTPUT_LIMIT = 32 * 1024 * 1024
_HOLD_MS = 2_000


@endpoint(
    "POST",
    f"{_ACTIONS}/connect",
    access=Access.WORKER_GROUP,
    body=ConnectSupervisor,
    returns=SupervisorConnected,
    is_body_optional=True,
)
async def connect_supervisor(call: Incoming[ConnectSupervisor]) -> SupervisorConnected:
    """Say which group a supervisor belongs to."""
    group = _group(call)
    await call.server.units.write(worker_group.seen, group.id)
    return SupervisorConnected(worker_group=SupervisorGroup(type=group.type, name=group.name))


@endpoint(
    "POST",
    f"{_ACTIONS}/heartbeat",
    access=Access.WORKER_GROUP,
    body=SupervisorHeartbeat,
    returns=Ok,
    is_body_optional=True,
)
async def heartbeat_supervisor(call: Incoming[SupervisorHeartbeat]) -> Ok:
    """Note that a supervisor is alive; its runs have heartbeats of their own."""
    await call.server.units.write(worker_group.seen, _group(call).id)
    return Ok()


@endpoint(
    "POST",
    f"{_ACTIONS}/dequeue",
    access=Access.WORKER_GROUP,
    body=DequeueRuns,
    returns=ManagedMessages,
    is_body_optional=True,
)
async def dequeue_runs(call: Incoming[DequeueRuns]) -> ManagedMessages:
    """Hand out runs of managed deployments, or wait a moment for some; who has gone is given none."""
    group = _group(call)

    async def look() -> list[Taken] | None:
        if await call.request.is_disconnected():
            return None
        return await call.server.units.write(supervisor.take, group, call.body.max_run_count)

    taken = await long_poll.until_found(
        call,
        supervisor.boot_id(group),
        look,
        lambda found: found is None or len(found) > 0,
        wait_ms=_HOLD_MS,
        everywhere=True,
    )
    now = call.server.units.clock.now()
    return ManagedMessages([present_execution.managed(one, now) for one in taken or ()])


@endpoint(
    "GET",
    f"{_ACTIONS}/deployments/{{deployment_id}}/dequeue",
    access=Access.WORKER_GROUP,
    returns=ManagedMessages,
)
async def dequeue_nothing(call: Incoming[None]) -> ManagedMessages:
    """Hand out nothing: supervisors of today ask for runs of any deployment."""
    _group(call)
    return ManagedMessages([])


@endpoint(
    "POST",
    f"{_SNAPSHOT}/attempts/start",
    access=Access.WORKER_GROUP,
    body=StartAttempt,
    returns=AttemptStarted,
    is_body_optional=True,
)
async def start_managed_attempt(call: Incoming[StartAttempt]) -> AttemptStarted:
    """Begin an attempt, and return everything its code is given, the environment's variables too."""
    snapshot = call.path("snapshot_id")

    def work(u: Unit, environment: EnvironmentRow) -> tuple[EnvironmentRow, Attempt | None]:
        return environment, snapshot_channel.start(u, environment, call.path("run_id"), snapshot)

    environment, attempt = await _write(call, work)
    begun = snapshot_channel.begun(attempt, snapshot)
    given = given_variables.of_attempt(call, environment, begun)
    return present_execution.started(begun, environment, given)


@endpoint(
    "POST",
    f"{_SNAPSHOT}/attempts/complete",
    access=Access.WORKER_GROUP,
    body=CompleteAttempt,
    returns=AttemptCompleted,
    body_limit=_OUTPUT_LIMIT,
)
async def complete_managed_attempt(call: Incoming[CompleteAttempt]) -> AttemptCompleted:
    """End an attempt."""
    told, run_id = call.body.completion, call.path("run_id")
    ended = await _write(
        call,
        snapshot_channel.complete,
        call.path("snapshot_id"),
        read_execution.completion(run_id, told),
        read_execution.change(run_id, told.flushed_metadata),
    )
    return AttemptCompleted(result=present_execution.completed(ended))


@endpoint(
    "POST",
    f"{_SNAPSHOT}/heartbeat",
    access=Access.WORKER_GROUP,
    body=Heartbeat,
    returns=Ok,
    is_body_optional=True,
)
async def heartbeat_managed_run(call: Incoming[Heartbeat]) -> Ok:
    """Keep the lease of a run; that of an earlier attempt is not refused, it only keeps nothing."""
    await _write(call, snapshot_channel.extend, call.path("run_id"), call.path("snapshot_id"))
    return Ok()


@endpoint(
    "POST",
    f"{_SNAPSHOT}/suspend",
    access=Access.WORKER_GROUP,
    body=SuspendRun,
    returns=Ok,
)
async def suspend_run(call: Incoming[SuspendRun]) -> Ok:
    """Put a waiting run away under its checkpoint; refused, its process must live on."""
    kept, run_id = call.body.checkpoint, call.path("run_id")
    if not call.body.success:
        await _write(call, snapshot_channel.extend, run_id, call.path("snapshot_id"))
        return Ok()
    if kept is None:
        raise UsageError("a suspended run has a checkpoint", code="CHECKPOINT_MISSING")
    offered = Suspended(
        run_id=run_id,
        lease=0,
        sequence=0,
        kind=kept.type,
        location=kept.location,
        image_reference=kept.image_ref,
        reason=kept.reason,
    )
    await _write(call, suspension.put_away, run_id, call.path("snapshot_id"), offered)
    return Ok()


@endpoint("GET", f"{_SNAPSHOT}/continue", access=Access.WORKER_GROUP, returns=ContinuedRun)
async def continue_run(call: Incoming[None]) -> ContinuedRun:
    """Let a restored run go on with its attempt."""
    run = await _write(call, suspension.go_on, call.path("run_id"), call.path("snapshot_id"))
    return present_execution.continued(run)


@endpoint("GET", f"{_RUN}/snapshots/latest", access=Access.WORKER_GROUP, returns=LatestSnapshot)
async def latest_managed_snapshot(call: Incoming[None]) -> LatestSnapshot:
    """Say where a run is, and which waits are over; that somebody asks shows that its runner lives."""
    found = await _read(call, snapshot_channel.latest, call.path("run_id"))
    await _keep(call, found.run)
    return LatestSnapshot(execution=present_execution.latest(found))


@endpoint(
    "GET",
    f"{_RUN}/snapshots/since/{{snapshot_id}}",
    access=Access.WORKER_GROUP,
    returns=LaterSnapshots,
)
async def snapshots_since(call: Incoming[None]) -> LaterSnapshots:
    """Say what happened to a run after a snapshot, oldest first."""
    found = await _read(call, snapshot_channel.since, call.path("run_id"), call.path("snapshot_id"))
    await _keep(call, found.run)
    return LaterSnapshots(snapshots=present_execution.since(found))


@endpoint("POST", f"{_RUN}/logs/debug", access=Access.WORKER_GROUP, body=DebugLog, statuses=(204,))
async def debug_managed_run(call: Incoming[DebugLog]) -> Response:
    """Hear what a runner remarks about itself; nothing is kept."""
    _group(call)
    return Response(status_code=204)


async def _keep(call: Incoming[None], run: RunRow) -> None:
    """Extend the lease of a run that wants it: its runner asks where it is."""
    if snapshot_channel.is_running_out(run, call.server.units.clock.now()):
        newest = ids.snapshot_id(run.id, run.sequence)
        await _write(call, snapshot_channel.extend, run.id, newest)


async def _write(
    call: Incoming[Any],
    function: Callable[Concatenate[Unit, EnvironmentRow, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run an engine function in the environment of the run that the path names."""
    return await call.server.units.write(_placed(call, function, *args, **kwargs))


async def _read(
    call: Incoming[Any],
    function: Callable[Concatenate[Unit, EnvironmentRow, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """Run a function that only reads, likewise."""
    return await call.server.units.read(_placed(call, function, *args, **kwargs))


def _placed(
    call: Incoming[Any],
    function: Callable[Concatenate[Unit, EnvironmentRow, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> Callable[[Unit], T]:
    group = _group(call)
    scope = call.request.headers.get("x-trigger-worker-environment-id")

    def work(u: Unit) -> T:
        environment = supervisor.place(u, group, call.path("run_id"), scope)
        return function(u, environment, *args, **kwargs)

    return work


def _group(call: Incoming[Any]) -> WorkerGroupRow:
    return supervisor_headers.check(call.server, call.principal, call.request.headers)
