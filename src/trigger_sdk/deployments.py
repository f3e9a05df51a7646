"""Deployments: which versions there are, which one is current, and making another one current."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from trigger_core import clock, duration
from trigger_core.duration import Duration
from trigger_sdk import _lazy

if TYPE_CHECKING:
    from trigger_core.schemas.deployments import (
        DeploymentDetail,
        DeploymentItem,
        PromotedDeployment,
    )

__all__ = [
    "Filters",
    "list",
    "list_sync",
    "promote",
    "promote_sync",
    "retrieve",
    "retrieve_current",
    "retrieve_current_sync",
    "retrieve_sync",
]


class Filters(TypedDict, total=False):
    """Which deployments :func:`list` goes through; several filters must all match.

    ``status`` is one or several, of which any will do. ``period`` is how far back to look (``"7d"``), instead
    of ``created_from``.
    """

    status: str | Sequence[str]
    period: Duration | None
    created_from: datetime | None
    created_to: datetime | None


async def list(  # noqa: A001 - the word users know
    **filters: Unpack[Filters],
) -> AsyncIterator[DeploymentItem]:
    """Go through deployments, newest first, page by page as needed; without filters through all."""
    async for deployment in _lazy.deployments()().list_all(**_wire(filters)):
        yield deployment


def list_sync(**filters: Unpack[Filters]) -> Iterator[DeploymentItem]:
    """Go through deployments, newest first, blocking."""
    yield from _lazy.deployments()().list_all_sync(**_wire(filters))


async def retrieve_current() -> DeploymentItem:
    """Read the deployment on which new runs execute.

    Raises:
        NotFoundError: nothing was promoted yet.
    """
    return await _lazy.deployments()().current()


def retrieve_current_sync() -> DeploymentItem:
    """Read the current deployment, blocking."""
    return _lazy.deployments()().current_sync()


async def retrieve(deployment_id: str) -> DeploymentDetail:
    """Read a deployment, with its tasks once it was indexed.

    Raises:
        NotFoundError: the environment has no such deployment.
    """
    return await _lazy.deployments()().read(deployment_id)


def retrieve_sync(deployment_id: str) -> DeploymentDetail:
    """Read a deployment, blocking."""
    return _lazy.deployments()().read_sync(deployment_id)


async def promote(version: str, *, allow_rollback: bool = False) -> PromotedDeployment:
    """Let new runs execute on a deployed version; those that have started keep theirs.

    Args:
        version: such as ``"20260131.4"``.
        allow_rollback: it may be older than the current one.

    Raises:
        NotFoundError: there is no such version.
        ApiError: it is not deployed, or older than the current one.
    """
    return await _lazy.deployments()().promote(version, allow_rollbacks=allow_rollback)


def promote_sync(version: str, *, allow_rollback: bool = False) -> PromotedDeployment:
    """Make a version current, blocking."""
    return _lazy.deployments()().promote_sync(version, allow_rollbacks=allow_rollback)


def _wire(filters: Filters) -> dict[str, Any]:
    """Return filters as the call takes them: a list of statuses, moments and durations as texts."""
    given: dict[str, Any] = {name: one for name, one in filters.items() if one is not None}
    for name, value in given.items():
        if name == "status" and isinstance(value, str):
            given[name] = [value]
        elif isinstance(value, datetime):
            given[name] = clock.to_iso(duration.resolve_delay(value, 0))
        elif name == "period":
            given[name] = duration.to_text(value)
    return given
