"""Deployments (protocol A.12)."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from trigger_core.api.call import Call, reading
from trigger_core.schemas.deployments import (
    DeploymentDetail,
    DeploymentItem,
    DeploymentPage,
    PromotedDeployment,
)

__all__ = ["current", "list_page", "promote", "retrieve"]

_ALL = "/api/v1/deployments"


def list_page(
    *,
    size: int = 20,
    after: str | None = None,
    status: Sequence[str] = (),
    period: str | None = None,
    created_from: str | None = None,
    created_to: str | None = None,
) -> Call[DeploymentPage]:
    """Read a page of deployments, newest first; moments are ISO 8601 texts."""
    params = {
        "page[size]": str(size),
        "page[after]": after,
        "status": ",".join(status),
        "period": period,
        "from": created_from,
        "to": created_to,
    }
    given = {key: value for key, value in params.items() if value}
    return Call("GET", _ALL, reading(DeploymentPage), params=given)


def current() -> Call[DeploymentItem]:
    """Read the deployment on which new runs execute."""
    return Call("GET", f"{_ALL}/current", reading(DeploymentItem))


def retrieve(deployment_id: str) -> Call[DeploymentDetail]:
    """Read a deployment."""
    return Call("GET", f"{_ALL}/{quote(deployment_id, safe='')}", reading(DeploymentDetail))


def promote(version: str, *, allow_rollbacks: bool = False) -> Call[PromotedDeployment]:
    """Let new runs execute on a deployed version."""
    path = f"{_ALL}/{quote(version, safe='')}/promote"
    params = {"allowRollbacks": "true"} if allow_rollbacks else {}
    return Call("POST", path, reading(PromotedDeployment), params=params)
