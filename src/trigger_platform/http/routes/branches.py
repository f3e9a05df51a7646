"""Branches of preview and development: made, listed, taken out of service (protocol E.2)."""

from __future__ import annotations

from trigger_core.errors import ApiError
from trigger_core.schemas.projects import (
    ArchiveBranch,
    ArchivedBranch,
    BranchEnvironment,
    Branches,
    BranchId,
    UpsertBranch,
)
from trigger_platform.engine import branch, environment
from trigger_platform.engine.unit import Unit
from trigger_platform.http import present_identity as present
from trigger_platform.http.auth import Access, Principal
from trigger_platform.http.endpoint import Incoming, endpoint
from trigger_platform.store.rows import EnvironmentRow

__all__ = ["archive_branch", "list_branches", "upsert_branch"]

_ALL = "/api/v1/projects/{project_ref}/branches"


@endpoint("GET", _ALL, access=Access.PROJECT_VIEWER, returns=Branches)
async def list_branches(call: Incoming[None]) -> Branches:
    """List the branches of preview that are in service, the newest change first."""
    found = await call.server.units.read(branch.listed, call.project)
    return Branches(branches=[present.branch(one) for one in found])


@endpoint("POST", _ALL, access=Access.ENVIRONMENT_OR_USER, body=UpsertBranch, returns=BranchId)
async def upsert_branch(call: Incoming[UpsertBranch]) -> BranchId:
    """Make a branch, or bring one up to date; one that was archived comes back."""
    found = await call.server.units.write(_put, call.principal, call.body)
    return BranchId(id=found.id)


@endpoint(
    "POST",
    f"{_ALL}/archive",
    access=Access.ENVIRONMENT_OR_USER,
    body=ArchiveBranch,
    returns=ArchivedBranch,
)
async def archive_branch(call: Incoming[ArchiveBranch]) -> ArchivedBranch:
    """Take a branch out of service: its runs are handed out no more."""
    gone = await call.server.units.write(_archive, call.principal, call.body)
    return ArchivedBranch(success=True, branch=BranchId(id=gone.id))


def _put(u: Unit, caller: Principal, wanted: UpsertBranch) -> EnvironmentRow:
    return branch.put(u, _parent(u, caller, wanted.env), wanted.branch, wanted.git)


def _archive(u: Unit, caller: Principal, wanted: ArchiveBranch) -> EnvironmentRow:
    return branch.archive(u, _parent(u, caller, wanted.env), wanted.branch)


def _parent(u: Unit, caller: Principal, kind: BranchEnvironment) -> EnvironmentRow:
    """Return the environment whose branch is meant: a key's own, or the project's, or the user's."""
    if caller.placed is not None:
        if kind != "preview" or caller.placed.type != "PREVIEW" or caller.placed.parent_id:
            raise ApiError(
                "this key opens no environment that has such branches",
                status=400,
                code="NO_BRANCHES",
            )
        return caller.placed
    if kind == "preview":
        return environment.shared(u, caller.named_project, "preview")
    if caller.user_id is None:
        raise ApiError(
            "an organisation's token has no environment of development",
            status=400,
            code="NO_BRANCHES",
        )
    return environment.of_developer(u, caller.named_project, caller.user_id)
