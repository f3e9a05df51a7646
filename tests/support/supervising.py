"""A supervisor over HTTP, and the runners that speak through it (protocol F.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from support.http import Platform
from trigger_platform.engine import worker_group

__all__ = ["ACTIONS", "INSTANCE", "Supervisor", "named", "supervisor_of"]

ACTIONS = "/engine/v1/worker-actions"
INSTANCE = "x-trigger-worker-instance-name"


@dataclass
class Supervisor:
    """A supervisor, and the runners that speak through it."""

    http: httpx.AsyncClient
    token: str

    async def take(self, **asked: Any) -> list[dict[str, Any]]:
        """Ask for runs."""
        answer = await self.http.post(f"{ACTIONS}/dequeue", json=asked)
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    async def call(self, run_id: str, snapshot: str, action: str, body: Any = None) -> Any:
        """Say something of a run under a snapshot; return the answer."""
        path = f"{ACTIONS}/runs/{run_id}/snapshots/{snapshot}/{action}"
        method = "GET" if action == "continue" else "POST"
        return await self.http.request(method, path, json=body)

    async def start(self, message: dict[str, Any]) -> dict[str, Any]:
        """Begin the attempt of a message."""
        answer = await self.call(*named(message), "attempts/start", {})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def complete(self, begun: dict[str, Any], **completion: Any) -> dict[str, Any]:
        """End an attempt."""
        run_id, snapshot = named(begun)
        body = {"completion": {"ok": True, "id": run_id, "output": '"done"'} | completion}
        answer = await self.call(run_id, snapshot, "attempts/complete", body)
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["result"])

    async def since(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        """Read what happened after a snapshot."""
        run_id, snapshot = named(message)
        answer = await self.http.get(f"{ACTIONS}/runs/{run_id}/snapshots/since/{snapshot}")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["snapshots"])

    async def latest(self, run_id: str) -> dict[str, Any]:
        """Read where a run is."""
        answer = await self.http.get(f"{ACTIONS}/runs/{run_id}/snapshots/latest")
        assert answer.status_code == 200, answer.text
        return dict(answer.json()["execution"])


def named(message: dict[str, Any]) -> tuple[str, str]:
    """Return the run and the snapshot that a message names."""
    return message["run"]["friendlyId"], message["snapshot"]["friendlyId"]


async def supervisor_of(platform: Platform, name: str = "default") -> Supervisor:
    """Make a group, and return a supervisor of it."""
    made = await platform.server.units.write(worker_group.create, name)
    headers = {"authorization": f"Bearer {made.token}", INSTANCE: "supervisor-1"}
    transport = platform.http._transport
    http = httpx.AsyncClient(
        transport=transport, base_url=platform.http.base_url, headers=headers, timeout=30
    )
    return Supervisor(http, made.token)
