"""Projects of organisations; the embedded platform makes one at first start, with a user and a token."""

from __future__ import annotations

from dataclasses import dataclass

from trigger_core import ids
from trigger_platform.engine import access_token, environment, organization, user
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, ProjectRow, UserRow

__all__ = ["Ensured", "by_ref", "create", "ensure"]

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


def ensure(u: Unit, ref: str) -> Ensured:
    """Find the project by its reference, or create it for the user of this machine."""
    local = user.by_id(u, _LOCAL_USER) or _create_local_user(u)
    found = by_ref(u, ref)
    if found is None:
        found = create(u, _LOCAL_ORGANIZATION, ref, ref=ref)
    access_token.prune(u, local.id, _LOCAL_TOKEN, _LOCAL_TOKEN_LIFE_MS)
    token = access_token.create(u, _LOCAL_TOKEN, local.id)
    return Ensured(found, environment.of_developer(u, found, local.id), token)


def create(u: Unit, organization_id: str, name: str, *, ref: str | None = None) -> ProjectRow:
    """Create a project; each of its environments is made when it is used first."""
    ref = ref or ids.project_ref()
    project = ProjectRow(
        id=ids.environment_id(u.now, u.rng),
        ref=ref,
        name=name,
        organization_id=organization_id,
        slug=ref,
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


def _create_local_user(u: Unit) -> UserRow:
    local = user.create(u, "local@example.com", "Local", id_=_LOCAL_USER)
    organization.create(u, "Local", "local", local.id, id_=_LOCAL_ORGANIZATION)
    return local
