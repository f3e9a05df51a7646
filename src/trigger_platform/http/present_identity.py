"""Organisations, members, projects, environments, tokens and keys on the wire."""

from __future__ import annotations

import json

from trigger_core import clock
from trigger_core.schemas.access_tokens import AccessToken, EnvironmentKey
from trigger_core.schemas.organizations import Member, OrganizationDetail
from trigger_core.schemas.projects import Branch, EnvironmentSummary, ProjectDetail
from trigger_core.schemas.worker_groups import WorkerGroup
from trigger_platform.engine import additional_key
from trigger_platform.engine.project import View
from trigger_platform.store.rows import (
    AccessTokenRow,
    AdditionalKeyRow,
    BranchRow,
    EnvironmentRow,
    MemberRow,
    OrganizationRow,
    WorkerGroupRow,
)

__all__ = [
    "access_token",
    "branch",
    "environment",
    "environment_key",
    "member",
    "organization",
    "project",
    "worker_group",
]


def organization(row: OrganizationRow) -> OrganizationDetail:
    """Return an organisation."""
    return OrganizationDetail(
        id=row.id, title=row.title, slug=row.slug, created_at=clock.to_iso(row.created_at)
    )


def member(row: MemberRow) -> Member:
    """Return a member."""
    return Member.model_validate(
        {
            "user_id": row.user_id,
            "email": row.email,
            "name": row.name,
            "role": row.role,
            "created_at": clock.to_iso(row.created_at),
        }
    )


def project(view: View) -> ProjectDetail:
    """Return a project."""
    row = view.project
    return ProjectDetail(
        id=row.id,
        external_ref=row.ref,
        name=row.name,
        slug=row.slug,
        created_at=clock.to_iso(row.created_at),
        organization=organization(view.organization),
    )


def environment(row: EnvironmentRow) -> EnvironmentSummary:
    """Return an environment."""
    return EnvironmentSummary(
        id=row.id,
        slug=row.word,
        type=row.type,
        is_branchable_environment=row.parent_id is None and row.word in {"dev", "preview"},
        branch_name=row.branch,
        paused=bool(row.paused),
    )


def branch(row: BranchRow) -> Branch:
    """Return a branch."""
    return Branch(
        id=row.id,
        name=row.name,
        created_at=clock.to_iso(row.created_at),
        updated_at=clock.to_iso(row.updated_at),
        git=json.loads(row.git) if row.git else None,
        is_paused=bool(row.paused),
    )


def access_token(row: AccessTokenRow) -> AccessToken:
    """Return a token as it is listed."""
    return AccessToken.model_validate(
        {
            "id": row.id,
            "name": row.name,
            "obfuscated_token": row.hint,
            "role": row.role,
            "created_at": clock.to_iso(row.created_at),
            "expires_at": _moment(row.expires_at),
            "last_used_at": _moment(row.last_used_at),
        }
    )


def environment_key(row: AdditionalKeyRow) -> EnvironmentKey:
    """Return a key as it is listed."""
    scopes = additional_key.scopes_of(row)
    return EnvironmentKey(
        id=row.id,
        name=row.name,
        obfuscated_key=row.hint,
        scopes=None if scopes is None else list(scopes),
        created_at=clock.to_iso(row.created_at),
        expires_at=_moment(row.expires_at),
        last_used_at=_moment(row.last_used_at),
    )


def worker_group(row: WorkerGroupRow) -> WorkerGroup:
    """Return a group; there is none that is preferred to others."""
    return WorkerGroup(
        type=row.type,
        name=row.name,
        description=row.description,
        last_heartbeat_at=_moment(row.last_heartbeat_at),
        is_default=False,
        updated_at=clock.to_iso(row.updated_at),
    )


def _moment(ms: int | None) -> str | None:
    return None if ms is None else clock.to_iso(ms)
