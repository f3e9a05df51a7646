"""Projects and their environments (protocol A.20, D.1)."""

from __future__ import annotations

from trigger_core import clock
from trigger_core.schemas.projects import (
    CreateProject,
    Environments,
    ProjectDetail,
    ProjectEnvironment,
    ProjectId,
    ProjectInit,
    ProjectName,
    ProjectRuntimes,
    Projects,
)
from trigger_platform.engine import project
from trigger_platform.engine.project import View
from trigger_platform.engine.unit import Unit
from trigger_platform.http import present_deployments
from trigger_platform.http import present_identity as present
from trigger_platform.http.auth import Access, Principal
from trigger_platform.http.endpoint import Incoming, endpoint
from trigger_platform.reads import project_runtimes
from trigger_platform.reads.project_runtimes import Production

__all__ = [
    "delete_project",
    "initialize_project",
    "list_environments",
    "list_projects",
    "list_runtimes",
    "read_environment",
    "rename_project",
    "retrieve_project",
]

_ONE = "/api/v1/projects/{project_ref}"


@endpoint("GET", "/api/v1/projects", access=Access.USER, returns=Projects)
async def list_projects(call: Incoming[None]) -> Projects:
    """List the projects that the caller may see, oldest first."""
    found = await call.server.units.read(_seen, call.principal)
    return Projects([present.project(one) for one in found])


@endpoint("GET", "/api/v1/projects/runtimes", access=Access.USER, returns=ProjectRuntimes)
async def list_runtimes(call: Incoming[None]) -> ProjectRuntimes:
    """List what the productions of the caller's projects run on."""
    found = await call.server.units.read(_productions, call.principal)
    return ProjectRuntimes([present_deployments.production(one) for one in found])


@endpoint("GET", _ONE, access=Access.PROJECT_VIEWER, returns=ProjectDetail)
async def retrieve_project(call: Incoming[None]) -> ProjectDetail:
    """Read one project."""
    return present.project(await call.server.units.read(project.view, call.project))


@endpoint("PATCH", _ONE, access=Access.PROJECT_ADMIN, body=CreateProject, returns=ProjectName)
async def rename_project(call: Incoming[CreateProject]) -> ProjectName:
    """Give a project another name."""
    changed = await call.server.units.write(project.rename, call.project, call.body.name)
    return ProjectName(id=changed.id, name=changed.name)


@endpoint("DELETE", _ONE, access=Access.PROJECT_ADMIN, returns=ProjectId)
async def delete_project(call: Incoming[None]) -> ProjectId:
    """Remove a project: nothing opens it any more."""
    await call.server.units.write(project.delete, call.project)
    return ProjectId(id=call.project.id)


@endpoint("POST", f"{_ONE}/init", access=Access.PROJECT_DEVELOPER, returns=ProjectInit)
async def initialize_project(call: Incoming[None]) -> ProjectInit:
    """Note that a folder was set up for a project."""
    changed = await call.server.units.write(project.initialize, call.project)
    moment = changed.initialized_at
    return ProjectInit(
        id=changed.id, initialized_at=None if moment is None else clock.to_iso(moment)
    )


@endpoint("GET", f"{_ONE}/environments", access=Access.PROJECT_VIEWER, returns=Environments)
async def list_environments(call: Incoming[None]) -> Environments:
    """List the environments that all share and the caller's own, with their branches."""
    found = await call.server.units.read(project.environments, call.project, call.principal.user_id)
    return Environments([present.environment(one) for one in found])


@endpoint("GET", f"{_ONE}/{{env}}", access=Access.ENVIRONMENT_OR_USER, returns=ProjectEnvironment)
async def read_environment(call: Incoming[None]) -> ProjectEnvironment:
    """Return an environment's key and address."""
    return ProjectEnvironment(
        api_key=call.server.secret_key_of(call.principal.environment),
        name=call.project.name,
        api_url=call.server.url,
        project_id=call.project.id,
    )


def _productions(u: Unit, caller: Principal) -> list[Production]:
    return project_runtimes.of(u, caller.organizations(u))


def _seen(u: Unit, caller: Principal) -> list[View]:
    return project.listed(u, caller.organizations(u))
