"""What the productions of projects run on, across organisations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trigger_platform.engine import deployment, environment, project
from trigger_platform.engine.project import View
from trigger_platform.engine.unit import Unit
from trigger_platform.reads import deployments
from trigger_platform.reads.deployments import FullDeployment
from trigger_platform.store.rows import OrganizationRow

__all__ = ["Production", "of"]


@dataclass(frozen=True, slots=True)
class Production:
    """A project, and the deployment that is current in its production, if one is."""

    view: View
    deployment: FullDeployment | None


def of(u: Unit, organizations: Sequence[OrganizationRow]) -> list[Production]:
    """Return the productions of the projects of organisations, in the order of their names."""
    views = project.listed(u, organizations)
    views.sort(key=lambda one: (one.organization.title, one.project.name))
    return [Production(one, _current(u, one)) for one in views]


def _current(u: Unit, view: View) -> FullDeployment | None:
    production = environment.find_shared(u, view.project, "prod")
    if production is None or deployment.current(u, production) is None:
        return None
    return deployments.current(u, production)
