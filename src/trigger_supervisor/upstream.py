"""The platform as a supervisor speaks to it: under its own name, and for its runners (protocol F.1)."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar

from trigger_core.api.call import Answer, Call
from trigger_core.api.calls import supervisors as calls
from trigger_core.api.client import AsyncClient
from trigger_core.errors import TriggerError
from trigger_core.schemas.execution import CompleteAttempt, LatestSnapshot, ManagedMessage
from trigger_core.schemas.supervisors import (
    ConnectSupervisor,
    DequeueRuns,
    SupervisorGroup,
    SupervisorHeartbeat,
)

__all__ = ["Speaker", "Upstream"]

T = TypeVar("T")

_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 5.0


@dataclass(frozen=True, slots=True)
class Speaker:
    """A runner for which something is said, and what it belongs to."""

    runner: str
    deployment: str
    environment: str

    @property
    def headers(self) -> dict[str, str]:
        """What the platform is told of it; it finds no run of another environment then."""
        return {
            "x-trigger-worker-runner-id": self.runner,
            "x-trigger-worker-deployment-id": self.deployment,
            "x-trigger-worker-environment-id": self.environment,
        }


class Upstream:
    """Calls of one supervisor."""

    def __init__(
        self, api_url: str, token: str, instance: str, managed_secret: str | None = None
    ) -> None:
        self._client = AsyncClient(api_url, token, source="supervisor")
        self.headers = {"x-trigger-worker-instance-name": instance}
        """What every call says besides the token."""
        if managed_secret is not None:
            self.headers["x-trigger-worker-managed-secret"] = managed_secret

    async def connect(self) -> SupervisorGroup:
        """Return the group that the token is of."""
        about = ConnectSupervisor.model_validate({"metadata": {"workerVersion": _own_version()}})
        return (await self._send(calls.connect(about))).worker_group

    async def heartbeat(self) -> None:
        """Say that this supervisor is alive."""
        await self._send(calls.heartbeat(SupervisorHeartbeat()))

    async def dequeue(self, count: int) -> list[ManagedMessage]:
        """Take up to so many runs."""
        return (await self._send(calls.dequeue(DequeueRuns(max_run_count=count)))).root

    async def latest(self, run_id: str, speaker: Speaker) -> LatestSnapshot:
        """Read where a run is."""
        return await self._send(calls.latest(run_id), speaker)

    async def start(self, run_id: str, snapshot_id: str, speaker: Speaker) -> Answer:
        """Begin an attempt in the place of a runner."""
        path = f"{run_id}/snapshots/{snapshot_id}/attempts/start"
        return await self.pass_on("POST", path, speaker, b"{}")

    async def complete(
        self, run_id: str, snapshot_id: str, speaker: Speaker, body: CompleteAttempt
    ) -> Answer:
        """End an attempt in the place of a runner."""
        path = f"{run_id}/snapshots/{snapshot_id}/attempts/complete"
        content = body.model_dump_json(by_alias=True, exclude_none=True).encode()
        return await self.pass_on("POST", path, speaker, content)

    async def pass_on(
        self, method: str, path: str, speaker: Speaker, content: bytes | None = None
    ) -> Answer:
        """Ask for something in a runner's name; a refusal that concerns its run is an answer.

        Raises:
            TriggerError: the platform did not answer, or refuses this supervisor.
        """
        return await self._send(calls.action(method, path, content), speaker)

    async def insist(
        self, method: str, path: str, speaker: Speaker, content: bytes, *, for_s: float
    ) -> Answer:
        """Ask again and again while the platform is away, for a while; raises as :meth:`pass_on`."""
        pause, until = _FIRST_PAUSE_S, time.monotonic() + for_s
        while True:
            try:
                return await self.pass_on(method, path, speaker, content)
            except TriggerError as error:
                if not error.retryable or time.monotonic() > until:
                    raise
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_S, pause * 2)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _send(self, call: Call[T], speaker: Speaker | None = None) -> T:
        about = speaker.headers if speaker is not None else {}
        return await self._client.send(
            replace(call, headers={**call.headers, **self.headers, **about})
        )


def _own_version() -> str:
    try:
        return version("trigger-dev")
    except PackageNotFoundError:
        return "0"
