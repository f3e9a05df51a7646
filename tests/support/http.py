"""A client of a platform that runs in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

from support import keys
from trigger_core.clock import VirtualClock
from trigger_platform.app import build, open_server
from trigger_platform.engine import due, environment
from trigger_platform.http.server import Server
from trigger_platform.settings import Settings
from trigger_platform.store.opening import open_database
from trigger_platform.store.sqlite import MEMORY

PROJECT = "proj_abcdefghijklmnopqrst"
METRICS_TOKEN = "m3Tr1cs-Xn5vZk3b7Rt1Ww9Yc2Lm8Pd4"


@dataclass
class Platform:
    """The server and a client with its key."""

    server: Server
    clock: VirtualClock
    http: httpx.AsyncClient

    async def elsewhere(self, word: str) -> Platform:
        """Another environment of the project: ``staging``, ``prod`` or ``preview``."""
        project = self.server.local.project
        there = await self.server.units.write(environment.shared, project, word)
        headers = {
            "authorization": f"Bearer {self.server.secret_key_of(there)}",
            "x-trigger-api-version": "2025-07-16",
        }
        transport = self.http._transport
        http = httpx.AsyncClient(transport=transport, base_url=self.http.base_url, headers=headers)
        return Platform(self.server, self.clock, http)

    @property
    def key(self) -> str:
        """The environment's secret key."""
        return self.server.secret_key_of(self.server.local.environment)

    async def trigger(self, task: str = "task", payload: Any = None, **options: Any) -> str:
        """Trigger a run."""
        body = {"payload": payload, "options": options}
        answer = await self.http.post(f"/api/v1/tasks/{task}/trigger", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["id"])

    async def work(self, *tasks: str) -> list[dict[str, Any]]:
        """Register tasks, take a seat and claim what is there."""
        metadata = {
            "packageVersion": "0",
            "contentHash": "x",
            "tasks": [{"id": task, "filePath": "a.py"} for task in tasks],
        }
        path = f"/api/v1/projects/{PROJECT}/background-workers"
        worker = (await self.http.post(path, json={"localOnly": True, "metadata": metadata})).json()
        seat = {"instance": "dev", "bootId": "b1"}
        await self.http.post("/engine/v1/worker/connect", json=seat)
        poll = {"bootId": "b1", "workers": [worker["id"]], "limit": 10, "waitMs": 0}
        polled = await self.http.post("/engine/v1/worker/poll", json=poll)
        return list(polled.json()["runs"])

    async def sweep(self) -> None:
        """Do everything that is due."""
        while (await self.server.units.write(due.sweep)).moved:
            pass

    async def report(self, **what: Any) -> dict[str, Any]:
        """Report."""
        answer = await self.http.post("/engine/v1/worker/report", json={"bootId": "b1"} | what)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


@asynccontextmanager
async def serving(address: str = MEMORY, **settings: Any) -> AsyncIterator[Platform]:
    """A platform with its loops running, in memory unless told otherwise."""
    clock = VirtualClock()
    given = Settings.model_validate(
        {
            "project_ref": PROJECT,
            "encryption_key": keys.TEXT,
            "metrics_token": METRICS_TOKEN,
            "login": False,
        }
        | settings
    )
    server = await open_server(given, clock=clock, db=open_database(address))
    app = build(server)
    headers = {
        "authorization": f"Bearer {server.secret_key_of(server.local.environment)}",
        "x-trigger-api-version": "2025-07-16",
    }
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8030", headers=headers
        ) as http,
    ):
        yield Platform(server, clock, http)
    server.units.db.close()
