"""Who calls, and where: what a route knows once the caller was let in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trigger_core.errors import PermissionDeniedError
from trigger_platform.engine import organization
from trigger_platform.engine.export_proof import ExportProof
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.http import scopes
from trigger_platform.http.public_token import PublicToken
from trigger_platform.http.run_token import RunToken
from trigger_platform.http.scopes import Resource
from trigger_platform.store.rows import (
    EnvironmentRow,
    OrganizationRow,
    ProjectRow,
    WorkerGroupRow,
)

__all__ = ["Principal", "forbidden"]


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls, and where.

    Attributes:
        placed: the environment, where there is one.
        project: the project that the path names, if it names one.
        organization: the organisation that the path names, if it names one.
        user_id: the user, if a user calls.
        organization_id: the organisation, if its token calls.
        role: what a user or an organisation's token may do in what the path names.
        scopes: what the credential is restricted to; ``None`` for nothing.
        public: there when a public token calls.
        run_token: there when the token of a run's attempt calls.
        worker_group: there when a supervisor calls.
        export: there when the code of a deployed run exports.
        session: the token of a browser's session, where one had to log in.
    """

    placed: EnvironmentRow | None = None
    project: ProjectRow | None = None
    organization: OrganizationRow | None = None
    user_id: str | None = None
    organization_id: str | None = None
    role: Role | None = None
    scopes: tuple[str, ...] | None = None
    public: PublicToken | None = None
    run_token: RunToken | None = None
    worker_group: WorkerGroupRow | None = None
    export: ExportProof | None = None
    session: str | None = None

    @property
    def environment(self) -> EnvironmentRow:
        """The environment the caller works in, as it was a moment ago."""
        if self.placed is None:
            raise LookupError("a route without an environment asks for one")
        return self.placed

    @property
    def named_project(self) -> ProjectRow:
        """The project that the path names."""
        if self.project is None:
            raise LookupError("a route without a project asks for one")
        return self.project

    def organizations(self, u: Unit) -> list[OrganizationRow]:
        """Return the organisations the caller belongs to."""
        if self.user_id is not None:
            return organization.of_user(u, self.user_id)
        return [organization.by_id(u, self.organization_id)] if self.organization_id else []

    def allows(self, action: str, resources: Iterable[Resource]) -> bool:
        """Tell whether the caller's scopes allow an action on any of the resources."""
        return self.scopes is None or scopes.allows(self.scopes, action, resources)

    def require(self, action: str, resources: Iterable[Resource]) -> None:
        """Refuse a caller whose scopes do not allow an action on any of the resources.

        Raises:
            PermissionDeniedError: they do not.
        """
        if not self.allows(action, resources):
            raise forbidden()

    def require_role(self, role: Role) -> None:
        """Refuse a caller who has a lesser role.

        Raises:
            PermissionDeniedError: the caller has.
        """
        if self.role is None or self.role < role:
            raise forbidden()


def forbidden(because: str | None = None) -> PermissionDeniedError:
    """Return the refusal of a caller who is known and may not."""
    return PermissionDeniedError("Unauthorized", status=403, code="unauthorized", because=because)
