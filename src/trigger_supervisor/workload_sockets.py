"""Socket.IO for runners: each says which run it has, and is told when to look at it (protocol F.2)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import socketio
from starlette.types import ASGIApp

from trigger_supervisor.upstream import Speaker

__all__ = ["Watching", "WorkloadSockets"]

_NAMESPACE = "/workload"
_TOKEN = "HTTP_X_TRIGGER_WORKLOAD_DEPLOYMENT_ID"  # noqa: S105 - where it stands
_MOST_WATCHED = 20
_MESSAGE_BYTES = 64 * 1024


class Watching(Protocol):
    """Where notices come from."""

    async def watch(self, run_id: str) -> None:
        """Be told of a run."""
        ...

    async def forget(self, run_id: str) -> None:
        """Be told of it no more."""
        ...


class WorkloadSockets:
    """The ASGI application under ``/socket.io``; it passes the platform's notices on to runners.

    A notice may come before the runner is there to hear it. It is kept until then.
    """

    def __init__(self, read_token: Callable[[str], Speaker | None]) -> None:
        self._read_token = read_token
        self._notices: Watching | None = None
        self._runs: dict[str, set[str]] = {}
        self._listeners: dict[str, set[str]] = {}
        self._unheard: set[str] = set()
        self._telling: set[asyncio.Task[None]] = set()
        self._io: Any = socketio.AsyncServer(
            async_mode="asgi",
            transports=["websocket"],
            namespaces=[_NAMESPACE],
            cors_allowed_origins=[],
            max_http_buffer_size=_MESSAGE_BYTES,
        )
        on = self._io.on
        on("connect", self._connect, namespace=_NAMESPACE)
        on("disconnect", self._leave, namespace=_NAMESPACE)
        on("run:start", self._begin, namespace=_NAMESPACE)
        on("run:stop", self._end, namespace=_NAMESPACE)
        self.app: ASGIApp = socketio.ASGIApp(self._io)

    def listen_to(self, notices: Watching) -> None:
        """Say where notices come from."""
        self._notices = notices

    async def expect(self, run_id: str) -> None:
        """Be told of a run from now on, though its runner is not connected yet."""
        self._listeners.setdefault(run_id, set())
        await self._watch(run_id)

    async def forget(self, run_id: str) -> None:
        """Let go of a run whose runner is gone."""
        self._unheard.discard(run_id)
        if not self._listeners.get(run_id):
            self._listeners.pop(run_id, None)
            assert self._notices is not None
            await self._notices.forget(run_id)

    def tell(self, run_id: str) -> None:
        """Tell the runner of a run that it should look."""
        listeners = self._listeners.get(run_id, set())
        if not listeners:
            self._unheard.add(run_id)
        for sid in listeners:
            self._start(self._emit(sid, run_id))

    async def _connect(self, sid: str, environ: dict[str, Any], _auth: object = None) -> bool:
        if self._read_token(environ.get(_TOKEN, "")) is None:
            return False
        self._runs[sid] = set()
        return True

    async def _begin(self, sid: str, message: object = None) -> None:
        run_id, runs = _run_id(message), self._runs.get(sid)
        if run_id is None or runs is None or len(runs) >= _MOST_WATCHED:
            return
        runs.add(run_id)
        self._listeners.setdefault(run_id, set()).add(sid)
        await self._watch(run_id)
        if run_id in self._unheard:
            self._unheard.discard(run_id)
            await self._emit(sid, run_id)

    async def _end(self, sid: str, message: object = None) -> None:
        run_id = _run_id(message)
        if run_id is not None and run_id in self._runs.get(sid, set()):
            self._runs[sid].discard(run_id)
            await self._drop(sid, run_id)

    async def _leave(self, sid: str, _reason: object = None) -> None:
        for run_id in self._runs.pop(sid, set()):
            await self._drop(sid, run_id)

    async def _drop(self, sid: str, run_id: str) -> None:
        self._listeners.get(run_id, set()).discard(sid)
        await self.forget(run_id)

    async def _watch(self, run_id: str) -> None:
        assert self._notices is not None
        await self._notices.watch(run_id)

    def _start(self, telling: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(telling)
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _emit(self, sid: str, run_id: str) -> None:
        message = {"version": "1", "run": {"friendlyId": run_id}}
        await self._io.emit("run:notify", message, to=sid, namespace=_NAMESPACE)


def _run_id(message: object) -> str | None:
    """Read ``{"run": {"friendlyId": …}}``; whatever else comes names no run."""
    run = message.get("run") if isinstance(message, dict) else None
    found = run.get("friendlyId") if isinstance(run, dict) else None
    return found if isinstance(found, str) else None
