"""Branches of environments of development and preview (protocol E.2)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from trigger_core.errors import ApiError, NotFoundError
from trigger_platform.engine import environment
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import BranchRow, EnvironmentRow, ProjectRow

__all__ = ["archive", "listed", "put"]

_NONE = "default"


def put(
    u: Unit, parent: EnvironmentRow, name: str, git: Mapping[str, Any] | None
) -> EnvironmentRow:
    """Make a branch, or bring one up to date; one that was archived comes back into service.

    Raises:
        ApiError: the name means no branch.
    """
    name = "".join(filter(str.isprintable, name)).strip()
    if name in {"", _NONE}:
        raise ApiError(f"{name!r} is no name for a branch", status=400, code="BRANCH_NAME")
    known = u.tx.maybe("environment_branch", EnvironmentRow, parent_id=parent.id, branch=name)
    found = known or environment.create_branch(u, parent, name)
    if found.archived_at is not None:
        u.access = True
        u.tx.run("environment_archive", id=found.id, archived_at=None)
    text = None if git is None else json.dumps(git, separators=(",", ":"))
    u.tx.run("environment_touch", id=found.id, git=text, now=u.now)
    return found


def listed(u: Unit, project: ProjectRow) -> list[BranchRow]:
    """Return the branches of preview that are in service, the newest change first."""
    return u.tx.all("branches_of", BranchRow, project_id=project.id)


def archive(u: Unit, parent: EnvironmentRow | None, name: str) -> EnvironmentRow:
    """Take a branch out of service: its runs stay where they are.

    Raises:
        NotFoundError: there is no such branch.
        ApiError: it is out of service already.
    """
    found = None
    if parent is not None:
        found = u.tx.maybe("environment_branch", EnvironmentRow, parent_id=parent.id, branch=name)
    if found is None:
        raise NotFoundError("Branch not found", status=404, code="BRANCH_NOT_FOUND")
    if found.archived_at is not None:
        raise ApiError("Branch is already archived", status=400, code="BRANCH_ARCHIVED")
    u.access = True
    u.tx.run("environment_archive", id=found.id, archived_at=u.now)
    return found
