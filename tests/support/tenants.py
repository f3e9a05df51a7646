"""Two organisations on one platform: users of every role, tokens and keys of every kind."""

from __future__ import annotations

from dataclasses import dataclass, field

from support.http import Platform
from trigger_platform.engine import (
    access_token,
    additional_key,
    environment,
    organization,
    project,
    secret_key,
    user,
)
from trigger_platform.engine.role import Role
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, OrganizationRow, ProjectRow

__all__ = ["Tenant", "bearer", "settle"]


@dataclass(frozen=True)
class Tenant:
    """An organisation with a project, its production, and what opens them.

    Attributes:
        tokens: of a user for each role.
        root: the secret key of production.
        restricted: a key of production that may read runs.
        unrestricted: a key of production without scopes.
        organization_token: with the role of a developer.
    """

    home: OrganizationRow
    project: ProjectRow
    production: EnvironmentRow
    tokens: dict[Role, str]
    users: dict[Role, str]
    root: str
    restricted: str
    unrestricted: str
    organization_token: str
    things: dict[str, str] = field(default_factory=dict)

    @property
    def owner(self) -> dict[str, str]:
        """The headers of the owner."""
        return bearer(self.tokens[Role.OWNER])

    @property
    def path(self) -> str:
        """The project's address."""
        return f"/api/v1/projects/{self.project.ref}"


def bearer(token: str, **headers: str) -> dict[str, str]:
    """Return headers that show a token or key."""
    return {"authorization": f"Bearer {token}"} | headers


async def settle(platform: Platform, name: str) -> Tenant:
    """Make a tenant."""

    def work(u: Unit) -> Tenant:
        people = {role: user.create(u, f"{role.name}@{name}.example") for role in Role}
        home = organization.create(u, name, people[Role.OWNER].id)
        for role, person in people.items():
            organization.admit(u, home.id, person.id, role)
        made = project.create(u, home.id, f"{name}'s")
        production = environment.shared(u, made, "prod")
        tokens = {role: access_token.create(u, "t", one.id).token for role, one in people.items()}
        return Tenant(
            home,
            made,
            production,
            tokens,
            {role: one.id for role, one in people.items()},
            secret_key.read(u.keys, production),
            additional_key.create(u, production, "reader", ["read:runs"]).key,
            additional_key.create(u, production, "all", None).key,
            access_token.create_for_organization(u, "ci", home.id, Role.DEVELOPER).token,
        )

    return await platform.server.units.write(work)
