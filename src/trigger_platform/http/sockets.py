"""Socket.IO: a worker that reads snapshots is told which of its runs has a new one (protocol D.9, F.1).

Each namespace says who may come in and what runs he may watch. What is told comes from the notices of
commits, of this process and of others; a worker that misses one finds the snapshot with its next look. The
library is loaded when somebody comes for the first time.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from trigger_core.errors import TriggerError
from trigger_platform.engine import supervisor
from trigger_platform.engine.unit import Unit
from trigger_platform.http import supervisor_headers
from trigger_platform.http.auth import Access, identify
from trigger_platform.http.server import Server
from trigger_platform.store.notice import Notice
from trigger_platform.store.rows import EnvironmentRow, RunRow

__all__ = ["NAMESPACES", "Namespace", "Sockets", "dev_worker", "managed_worker"]

MayWatch = Callable[[RunRow, EnvironmentRow], bool]
"""Tells whether a caller may watch a run of an environment."""

_MOST_WATCHED = 5_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Namespace:
    """A namespace: its name, and the one who lets callers in or refuses with an error of ours."""

    name: str
    admit: Callable[[Server, Request], Awaitable[MayWatch]]


@dataclass(slots=True)
class _Watcher:
    """Somebody who is connected, what he may watch and what he watches."""

    namespace: str
    may_watch: MayWatch
    runs: set[str] = field(default_factory=set)


async def dev_worker(server: Server, request: Request) -> MayWatch:
    """Let in the sessions of an environment; they watch its runs, and those of its branches.

    The command line does not say here which branch it is for.
    """
    mine = (await identify(server, Access.ENVIRONMENT, request)).environment
    return lambda _run, environment: mine.id in {environment.id, environment.parent_id}


async def managed_worker(server: Server, request: Request) -> MayWatch:
    """Let in the supervisors of a worker group; they watch the runs that the group holds."""
    caller = await identify(server, Access.WORKER_GROUP, request)
    mine = supervisor.boot_id(supervisor_headers.check(server, caller, request.headers))
    return lambda run, _environment: run.boot_id == mine


NAMESPACES = (Namespace("/dev-worker", dev_worker), Namespace("/worker", managed_worker))


class Sockets:
    """The ASGI application under ``/socket.io``."""

    def __init__(self, server: Server, namespaces: Sequence[Namespace] = NAMESPACES) -> None:
        self._server = server
        self._namespaces = namespaces
        self._watchers: dict[str, _Watcher] = {}
        self._by_run: dict[str, set[str]] = {}
        self._telling: set[asyncio.Task[None]] = set()
        self._io: Any = None
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if self._app is None:
            self._app = self._open()
        try:
            await self._app(scope, receive, send)
        except ValueError as error:  # what came was no packet at all
            _log.info("a web socket was closed: %s", error)

    def _open(self) -> ASGIApp:
        import socketio  # noqa: PLC0415 - most servers never see a worker that needs it

        from trigger_platform.http.socket_packet import TextPacket  # noqa: PLC0415

        self._io = socketio.AsyncServer(
            async_mode="asgi",
            transports=["websocket"],
            namespaces=[one.name for one in self._namespaces],
            cors_allowed_origins=[],
            serializer=TextPacket,
        )
        for namespace in self._namespaces:
            self._handle(namespace)
        self._server.units.subscribe(self._hear)
        app: ASGIApp = socketio.ASGIApp(self._io)
        return app

    def _handle(self, namespace: Namespace) -> None:
        async def connect(sid: str, environ: dict[str, Any], _auth: object = None) -> bool:
            scope = dict(environ["asgi.scope"]) | {"type": "http", "method": "GET"}
            try:
                may_watch = await namespace.admit(self._server, Request(scope))
            except TriggerError:
                return False
            self._watchers[sid] = _Watcher(namespace.name, may_watch)
            return True

        on = self._io.on
        on("connect", connect, namespace=namespace.name)
        on("disconnect", self._leave, namespace=namespace.name)
        on("run:subscribe", self._watch, namespace=namespace.name)
        on("run:unsubscribe", self._forget, namespace=namespace.name)

    async def _watch(self, sid: str, message: object = None) -> None:
        """Begin to watch runs; those the caller may not watch are left out."""
        watcher = self._watchers.get(sid)
        if watcher is None:
            return
        room = _MOST_WATCHED - len(watcher.runs)
        asked = [one for one in _run_ids(message) if one not in watcher.runs][: max(0, room)]
        found = await self._server.units.read(_found, asked) if asked else []
        for run, environment in found:
            if watcher.may_watch(run, environment) and sid in self._watchers:
                watcher.runs.add(run.id)
                self._by_run.setdefault(run.id, set()).add(sid)

    async def _forget(self, sid: str, message: object = None) -> None:
        watcher = self._watchers.get(sid)
        if watcher is not None:
            self._drop(sid, watcher, set(_run_ids(message)) & watcher.runs)

    async def _leave(self, sid: str, _reason: object = None) -> None:
        watcher = self._watchers.pop(sid, None)
        if watcher is not None:
            self._drop(sid, watcher, set(watcher.runs))

    def _drop(self, sid: str, watcher: _Watcher, runs: set[str]) -> None:
        watcher.runs -= runs
        for run_id in runs:
            self._by_run[run_id].discard(sid)
            if not self._by_run[run_id]:
                del self._by_run[run_id]

    def _hear(self, notice: Notice) -> None:
        """A commit: tell those who watch what it moved, or everybody if nobody knows what it moved."""
        moved = set(self._by_run) if notice.look else notice.boots & self._by_run.keys()
        for run_id in moved:
            for sid in self._by_run[run_id]:
                self._start(self._tell(sid, self._watchers[sid].namespace, run_id))

    def _start(self, telling: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(telling)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _tell(self, sid: str, namespace: str, run_id: str) -> None:
        message = {"version": "1", "run": {"friendlyId": run_id}}
        await self._io.emit("run:notify", message, to=sid, namespace=namespace)


def _run_ids(message: object) -> list[str]:
    """Read ``{"runFriendlyIds": […]}``; whatever else comes names no run."""
    asked = message.get("runFriendlyIds") if isinstance(message, dict) else None
    return [one for one in asked if isinstance(one, str)] if isinstance(asked, list) else []


def _found(u: Unit, run_ids: Sequence[str]) -> list[tuple[RunRow, EnvironmentRow]]:
    """Return runs with their environments; unknown runs are missing."""
    runs = u.tx.all("runs_by_ids", RunRow, ids=json.dumps(list(run_ids)))
    known = {
        id_: u.tx.one("environment_by_id", EnvironmentRow, id=id_)
        for id_ in {run.environment_id for run in runs}
    }
    return [(run, known[run.environment_id]) for run in runs]
