"""Loading: make the project's code, as it is now, the version that takes new runs."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Protocol

from trigger_core import timetable
from trigger_core.api.calls import envvars
from trigger_core.api.calls import workers as calls
from trigger_core.errors import ApiError, TriggerError
from trigger_core.schemas.workers import Registered, RegisterWorker, TaskDeclaration
from trigger_worker import index_report
from trigger_worker.background import Background
from trigger_worker.base_process import BaseProcess
from trigger_worker.generation import Generation, Owner
from trigger_worker.ipc import Message
from trigger_worker.platform_link import PlatformLink
from trigger_worker.session_link import SessionLink
from trigger_worker.versions import Versions

__all__ = ["Loader", "Place"]


class Place(Owner, Protocol):
    """Where loaded versions work."""

    async def serve(self, generation: Generation) -> None:
        """Make it the newest version; returns when no run can be handed to an older one any more."""
        ...


class Loader:
    """One load at a time, the last one asked for.

    A load that is still importing gives way to a newer one, so that a module that hangs can be corrected.
    """

    def __init__(
        self,
        *,
        base: BaseProcess,
        folder: str,
        platform: PlatformLink,
        link: SessionLink,
        versions: Versions,
        place: Place,
        background: Background,
    ) -> None:
        self._env: dict[str, str] = {}
        self._base = base
        self._folder = folder
        self._platform = platform
        self._link = link
        self._versions = versions
        self._place = place
        self._background = background
        self._importing: asyncio.Task[None] | None = None
        self._registering = asyncio.Lock()

    def request(self, env: dict[str, str]) -> None:
        """Begin to load with these variables."""
        self._env = env
        if self._importing is not None:
            self._importing.cancel()
        self._importing = self._background.start(self._load(env))

    def again(self) -> None:
        """Begin to load with the variables of the last time."""
        self.request(self._env)

    async def _load(self, env: dict[str, str]) -> None:
        began = time.monotonic()
        env = await self._variables() | env | self._platform.env
        generation = await Generation.load(self._base, self._folder, env, self._place)
        try:
            await self._registering.acquire()
        except BaseException:
            generation.close()
            raise
        self._importing = None
        try:
            await self._adopt(generation, began)
        finally:
            self._registering.release()

    async def _variables(self) -> dict[str, str]:
        """Return the environment's variables on the platform; what is set nearer by counts before them."""
        try:
            found = await self._platform.reports.send(envvars.resolved(self._platform.project_ref))
        except ApiError as error:
            self._place.notice(f"the environment's variables cannot be read: {error.what}")
            return {}
        self._link.hide([found.variables[name] for name in found.secrets])
        return {
            name: value
            for name, value in found.variables.items()
            if value and name not in os.environ
        }

    async def _adopt(self, generation: Generation, began: float) -> None:
        """Register what was imported and let it work; from here on the load is no longer given up."""
        if generation.report.metadata is None:
            self._refuse(generation, generation.report.error)
            return
        request = RegisterWorker(metadata=generation.report.metadata)
        try:
            call = calls.register(self._platform.project_ref, request)
            registered = await self._platform.reports.send(call)
        except TriggerError as error:
            self._refuse(generation, error.report())
            return
        if not generation.is_alive:
            self._refuse(generation, index_report.CRASHED)
            return
        unchanged = self._is_known(generation, registered)
        generation.worker_id, generation.version = registered.id, registered.version
        if unchanged:
            generation.close()
        else:
            await self._place.serve(generation)
        self._announce(generation, began, unchanged=unchanged)

    def _is_known(self, generation: Generation, registered: Registered) -> bool:
        """Tell whether the newest version has this code and these variables."""
        newest = self._versions.newest
        return (
            newest is not None
            and newest.worker_id == registered.id
            and newest.env == generation.env
        )

    def _refuse(self, generation: Generation, error: Message | None) -> None:
        generation.close()
        self._link.emit("load_failed", error=error, files=generation.report.files)

    def _announce(self, generation: Generation, began: float, *, unchanged: bool) -> None:
        report = generation.report
        if generation.threads and not unchanged:
            names = ", ".join(generation.threads)
            self._place.notice(
                f"importing the tasks started threads ({names}): attempts start in new interpreters"
            )
        self._link.emit(
            "loaded",
            version=generation.version,
            workerId=generation.worker_id,
            tasks=[_brief(task) for task in report.tasks.values()],
            files=report.files,
            durationMs=round((time.monotonic() - began) * 1000),
            unchanged=unchanged,
        )


def _brief(task: TaskDeclaration) -> Message:
    brief: Message = {"id": task.id, "filePath": task.file_path, "line": task.line}
    if task.schedule is not None:
        said = task.schedule
        when = timetable.expression(said.cron, said.every)
        brief["schedule"] = {"expression": when, "timezone": said.timezone}
    return brief
