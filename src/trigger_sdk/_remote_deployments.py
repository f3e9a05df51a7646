"""What the SDK asks of the platform about deployments, for blocking and for async callers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from trigger_core.api.calls import deployments as calls
from trigger_core.schemas.deployments import (
    DeploymentDetail,
    DeploymentItem,
    PromotedDeployment,
)
from trigger_sdk._remote import Remote

__all__ = ["RemoteDeployments"]


class RemoteDeployments(Remote):
    """The deployments of an environment."""

    async def list_all(self, **filters: Any) -> AsyncIterator[DeploymentItem]:
        """Go through deployments."""
        after: str | None = None
        while True:
            page = await self._send(calls.list_page(size=100, after=after, **filters))
            for deployment in page.data:
                yield deployment
            after = page.pagination.next
            if after is None:
                return

    def list_all_sync(self, **filters: Any) -> Iterator[DeploymentItem]:
        """Go through deployments."""
        after: str | None = None
        while True:
            page = self._send_sync(calls.list_page(size=100, after=after, **filters))
            yield from page.data
            after = page.pagination.next
            if after is None:
                return

    async def current(self) -> DeploymentItem:
        """Read the current deployment."""
        return await self._send(calls.current())

    def current_sync(self) -> DeploymentItem:
        """Read the current deployment."""
        return self._send_sync(calls.current())

    async def read(self, deployment_id: str) -> DeploymentDetail:
        """Read a deployment."""
        return await self._send(calls.retrieve(deployment_id))

    def read_sync(self, deployment_id: str) -> DeploymentDetail:
        """Read a deployment."""
        return self._send_sync(calls.retrieve(deployment_id))

    async def promote(self, version: str, *, allow_rollbacks: bool) -> PromotedDeployment:
        """Make a version current."""
        return await self._send(calls.promote(version, allow_rollbacks=allow_rollbacks))

    def promote_sync(self, version: str, *, allow_rollbacks: bool) -> PromotedDeployment:
        """Make a version current."""
        return self._send_sync(calls.promote(version, allow_rollbacks=allow_rollbacks))
