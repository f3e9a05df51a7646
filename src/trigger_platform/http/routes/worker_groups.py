"""Worker groups: made and listed by the server's admins (protocol F.5)."""

from __future__ import annotations

from trigger_core.schemas.worker_groups import (
    CreateWorkerGroup,
    PlainToken,
    WorkerGroupCreated,
    WorkerGroupName,
    WorkerGroups,
)
from trigger_platform.engine import worker_group
from trigger_platform.http import present_identity as present
from trigger_platform.http.auth import Access
from trigger_platform.http.endpoint import Incoming, Reply, endpoint

__all__ = ["create_worker_group", "list_worker_groups"]


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
    made = await call.server.units.write(
        worker_group.create, call.body.name or "default", call.body.description
    )
    name = WorkerGroupName(name=made.group.name, description=made.group.description)
    shown = WorkerGroupCreated(worker_group=name, token=PlainToken(plaintext=made.token))
    return Reply(shown, {"cache-control": "no-store"}, 201)
