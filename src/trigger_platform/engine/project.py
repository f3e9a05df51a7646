"""Projects of organisations; the embedded platform makes one at first start, with a user and a token."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from trigger_core import ids
from trigger_platform.engine import access_token, environment, organization, slug, user
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, OrganizationRow, ProjectRow, UserRow

__all__ = [
    "Ensured",
    "View",
    "by_ref",
    "create",
    "delete",
    "ensure",
    "environments",
    "initialize",
    "listed",
    "rename",
    "view",
]

_LOCAL_ORGANIZATION = "org_local"
_LOCAL_USER = "user_local"
_LOCAL_TOKEN = "local"  # noqa: S105 - the name of a token
_LOCAL_TOKEN_LIFE_MS = 30 * 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class Ensured:
    """A project that exists, an environment of development, and a token of the user of this machine."""

    project: ProjectRow
    environment: EnvironmentRow
    access_token: str


@dataclass(frozen=True, slots=True)
class View:
    """A project and the organisation it belongs to."""

    project: ProjectRow
    organization: OrganizationRow


def ensure(u: Unit, ref: str) -> Ensured:
    """Find the project by its reference, or create it for the user of this machine."""
    local = user.by_id(u, _LOCAL_USER) or _create_local_user(u)
    found = by_ref(u, ref)
    if found is None:
        found = create(u, _LOCAL_ORGANIZATION, ref, ref=ref)
    access_token.prune(u, local.id, _LOCAL_TOKEN, _LOCAL_TOKEN_LIFE_MS)
    token = access_token.create(u, _LOCAL_TOKEN, local.id).token
    return Ensured(found, environment.of_developer(u, found, local.id), token)


def create(u: Unit, organization_id: str, name: str, *, ref: str | None = None) -> ProjectRow:
    """Create a project; an environment is made when a developer uses it first."""
    ref = ref or ids.project_ref()
    project = ProjectRow(
        id=ids.environment_id(u.now, u.rng),
        ref=ref,
        name=name,
        organization_id=organization_id,
        slug=slug.of(u, name),
        initialized_at=None,
        deleted_at=None,
        created_at=u.now,
    )
    u.tx.run(
        "project_insert",
        id=project.id,
        ref=ref,
        name=name,
        organization_id=organization_id,
        slug=project.slug,
        now=u.now,
    )
    return project


def by_ref(u: Unit, ref: str) -> ProjectRow | None:
    """Return a project, if there is one of this reference."""
    return u.tx.maybe("project_by_ref", ProjectRow, ref=ref)


def view(u: Unit, project: ProjectRow) -> View:
    """Return a project with its organisation."""
    return View(project, organization.by_id(u, project.organization_id))


def listed(u: Unit, organizations: Sequence[OrganizationRow]) -> list[View]:
    """Return the projects of organisations, oldest first."""
    homes = {one.id: one for one in organizations}
    found = u.tx.all("projects_of", ProjectRow, organizations=json.dumps(list(homes)))
    return [View(one, homes[one.organization_id]) for one in found]


def rename(u: Unit, project: ProjectRow, name: str) -> ProjectRow:
    """Give a project another name; its reference stays."""
    u.tx.run("project_rename", id=project.id, name=name)
    return replace(project, name=name)


def initialize(u: Unit, project: ProjectRow) -> ProjectRow:
    """Note that a folder was set up for a project; the first time counts."""
    moment = project.initialized_at or u.now
    u.tx.run("project_initialize", id=project.id, initialized_at=moment)
    return replace(project, initialized_at=moment)


def delete(u: Unit, project: ProjectRow) -> None:
    """Remove a project: nothing opens it any more, and its runs are handed out no more."""
    u.access = True
    u.tx.run("project_delete", id=project.id, now=u.now)
    u.tx.run("environments_archive", project_id=project.id, now=u.now)


def environments(u: Unit, project: ProjectRow, user_id: str | None) -> list[EnvironmentRow]:
    """Return what a member sees of a project: the shared ones and the member's own, with their branches."""
    return u.tx.all(
        "environments_of_project",
        EnvironmentRow,
        project_id=project.id,
        owner_id=user_id or "",
    )


def _create_local_user(u: Unit) -> UserRow:
    local = user.create(u, "local@example.com", "Local", id_=_LOCAL_USER)
    organization.create(u, "Local", local.id, id_=_LOCAL_ORGANIZATION, short="local")
    return local
