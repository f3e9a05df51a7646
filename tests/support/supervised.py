"""A supervisor in this process, before a platform in this process; its runners are real processes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support import runner_program
from support.deploying import deploy
from support.http import Platform
from support.live import listening
from trigger_platform.engine import environment, worker_group
from trigger_supervisor import serving
from trigger_supervisor.serving import End, Ready
from trigger_supervisor.settings import SupervisorSettings

__all__ = ["Supervised", "eventually", "lay_down", "supervised"]

_RETRY = {"maxAttempts": 1, "minTimeoutInMs": 1, "maxTimeoutInMs": 1, "factor": 1}


async def eventually(condition: Callable[[], Awaitable[bool] | bool]) -> None:
    """Wait until another process has made something true."""
    async with asyncio.timeout(30):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(0.02)


@dataclass
class Supervised:
    """A production environment with one task, and what serves it."""

    prod: Platform
    token: str
    folder: Path
    environment: str
    image: str = ""
    end: End = field(default_factory=End)
    ready: Ready | None = None
    ending: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where its runners reach the supervisor."""
        assert self.ready is not None
        return self.ready.url

    async def trigger(self, do: str, task: str = "task", **what: Any) -> str:
        """Trigger a run whose runner does something."""
        options = what.pop("options", {})
        return await self.prod.trigger(task, {"do": do} | what, **options)

    async def status(self, run_id: str) -> dict[str, Any]:
        """Read a run."""
        return dict((await self.prod.http.get(f"/api/v3/runs/{run_id}")).json())

    async def result(self, run_id: str) -> dict[str, Any]:
        """Wait for the end of a run; return it."""
        run: dict[str, Any] = {}

        async def over() -> bool:
            self.prod.clock.advance(5)  # retries come after a millisecond
            await self.prod.sweep()
            run.update(await self.status(run_id))
            return bool(run["isCompleted"])

        await eventually(over)
        return run

    async def run(self, do: str, **what: Any) -> dict[str, Any]:
        """Trigger a run and wait for its end."""
        return await self.result(await self.trigger(do, **what))

    async def mark(self, file: Path) -> list[Any]:
        """Wait until a runner has left its mark: its process, and its snapshot."""
        await eventually(file.exists)
        return list(json.loads(file.read_text()))  # noqa: ASYNC240 - a line

    async def start(self, **settings: Any) -> None:
        """Start the supervisor."""
        up: asyncio.Event = asyncio.Event()

        def announce(ready: Ready) -> None:
            self.ready = ready
            up.set()

        self.end = End()
        given = {
            "api_url": self.prod.server.url,
            "token": self.token,
            "name": "one",
            "bundles": self.folder,
            "port": 0,
            "cpu": 8,
            "memory_gb": 8,
            "keep_warm_s": 0,
            "drain_grace_s": 20,
        }
        self.ending = asyncio.create_task(
            serving.serve(SupervisorSettings(**given | settings), announce, self.end)
        )
        waiting = asyncio.create_task(up.wait())
        await asyncio.wait({self.ending, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if not up.is_set():
            waiting.cancel()
            await self.ending

    async def lock_out(self) -> None:
        """Give the group another token, which the supervisor does not know."""
        await self.prod.server.units.write(worker_group.rotate, "default")

    async def stop(self) -> None:
        """Tell the supervisor to end, and wait until it has."""
        self.end.told.set()
        assert self.ending is not None
        await self.ending


def lay_down(folder: Path, image: str, **description: Any) -> None:
    """Put a bundle where a supervisor looks for that of an image."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    place = folder / name / tag
    place.mkdir(parents=True)
    said = {"command": [sys.executable, "-SPE", runner_program.__file__]} | description
    (place / "bundle.json").write_text(json.dumps(said))


@asynccontextmanager
async def supervised(folder: Path, **settings: Any) -> AsyncIterator[Supervised]:
    """A supervisor at work; what is under way when the block ends is ended."""
    async with listening() as platform:
        prod = await platform.elsewhere("prod")
        made = await platform.server.units.write(worker_group.create, "default")
        async with prod.http:
            image = (await deploy(prod, "task", said={"retry": _RETRY}))["imageTag"]
            project = platform.server.local.project
            here = await platform.server.units.write(environment.shared, project, "prod")
            found = Supervised(prod, made.token, folder, here.id, image)
            if settings.pop("has_bundle", True):
                lay_down(folder, image)
            await found.start(**settings)
            try:
                yield found
            finally:
                found.end.told_twice.set()
                await found.stop()
