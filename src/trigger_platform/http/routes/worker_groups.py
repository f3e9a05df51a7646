"""Worker groups: made and listed by the server's admins (protocol F.5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trigger_core.schemas.worker_groups import (
    CreateWorkerGroup,
    PlainToken,
    WorkerGroupCreated,
    WorkerGroupName,
    WorkerGroups,
)
from trigger_platform.engine import worker_group
from trigger_platform.engine.unit import Unit
from trigger_platform.http import present_identity as present
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, Reply, endpoint
from trigger_platform.store.rows import WorkerGroupRow

__all__ = [
    "create_worker_group",
    "delete_worker_group",
    "list_worker_groups",
    "rotate_worker_token",
]


@endpoint("GET", "/api/v1/workers", access=Access.SERVER_ADMIN, returns=WorkerGroups)
async def list_worker_groups(call: Incoming[None]) -> WorkerGroups:
    """List the groups of supervisors."""
    found = await call.server.units.read(worker_group.listed)
    return WorkerGroups([present.worker_group(one) for one in found])


@endpoint(
    "POST",
    "/api/v1/workers",
    access=Access.SERVER_ADMIN,
    body=CreateWorkerGroup,
    returns=WorkerGroupCreated,
    statuses=(201,),
)
async def create_worker_group(call: Incoming[CreateWorkerGroup]) -> Reply:
    """Create a group of supervisors; its token is shown this once."""
    name, description = call.body.name or "default", call.body.description

    def work(u: Unit) -> WorkerGroupCreated:
        return _created(worker_group.create(u, name, description))

    return await _shown(call, work, 201)


@endpoint(
    "POST",
    "/api/v1/workers/{name:path}/rotate-token",
    access=Access.SERVER_ADMIN,
    returns=WorkerGroupCreated,
)
async def rotate_worker_token(call: Incoming[None]) -> Reply:
    """Give a group of supervisors another token, shown this once; the one before opens nothing any more."""

    def work(u: Unit) -> WorkerGroupCreated:
        return _created(worker_group.rotate(u, call.path("name")))

    return await _shown(call, work, 200)


@endpoint(
    "DELETE",
    "/api/v1/workers/{name:path}",
    access=Access.SERVER_ADMIN,
    returns=WorkerGroupName,
)
async def delete_worker_group(call: Incoming[None]) -> WorkerGroupName:
    """Remove a group of supervisors; its token opens nothing any more."""

    def work(u: Unit) -> WorkerGroupName:
        return _name(worker_group.delete(u, call.path("name")))

    return await call.once_for_caller(WorkerGroupName, work)


async def _shown(
    call: Incoming[Any], work: Callable[[Unit], WorkerGroupCreated], status: int
) -> Reply:
    made = await call.once_for_caller(WorkerGroupCreated, work, shows_secret=True)
    return Reply(made, {"cache-control": "no-store"}, status)


def _created(made: worker_group.Made) -> WorkerGroupCreated:
    return WorkerGroupCreated(
        worker_group=_name(made.group), token=PlainToken(plaintext=made.token)
    )


def _name(group: WorkerGroupRow) -> WorkerGroupName:
    return WorkerGroupName(name=group.name, description=group.description)
