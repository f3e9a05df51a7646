"""The workload server: what runners ask of their supervisor, who asks the platform for them (protocol F.2).

Runners have no token of the platform's. Each shows what it was started with, and reaches the runs of its
environment alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from trigger_core.api.call import Answer
from trigger_core.errors import TriggerError
from trigger_supervisor.crew import Crew
from trigger_supervisor.held_attempts import HeldAttempts
from trigger_supervisor.upstream import Speaker, Upstream
from trigger_supervisor.workload_sockets import WorkloadSockets

__all__ = ["Workload", "build"]

_log = logging.getLogger(__name__)

_ACTIONS = "/api/v1/workload-actions"
_RUN = _ACTIONS + "/runs/{run_id}"
_SNAPSHOT = _RUN + "/snapshots/{snapshot_id}"
_TOKEN = "x-trigger-workload-deployment-id"  # noqa: S105 - where it stands
_RESTING_TOKEN = "x-trigger-deployment-id"  # noqa: S105
_REST_CALL_MS = 30_000
_SMALL = 64 * 1024
_OUTPUT = 32 * 1024 * 1024
_END_IS_TOLD_FOR_S = 120.0
"""For how long the end of an attempt is told to a platform that is away."""

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Workload:
    """The handlers, and what they need; ``keep_warm_s`` is how long a runner rests."""

    upstream: Upstream
    attempts: HeldAttempts
    crew: Crew
    read_token: Callable[[str], Speaker | None]
    keep_warm_s: float

    async def start(self, request: Request, speaker: Speaker) -> Response:
        """Begin an attempt."""
        content = await _body(request, _SMALL)
        path = _path(request, "{run_id}/snapshots/{snapshot_id}/attempts/start")
        answer = await self.upstream.pass_on("POST", path, speaker, content)
        self.attempts.begun(speaker.runner, answer)
        return _passed_on(answer)

    async def complete(self, request: Request, speaker: Speaker) -> Response:
        """End an attempt; its end is worth waiting for the platform."""
        content = await _body(request, _OUTPUT)
        path = _path(request, "{run_id}/snapshots/{snapshot_id}/attempts/complete")
        answer = await self.upstream.insist(
            "POST", path, speaker, content, for_s=_END_IS_TOLD_FOR_S
        )
        self.attempts.completed(speaker.runner, answer)
        return _passed_on(answer)

    async def heartbeat(self, request: Request, speaker: Speaker) -> Response:
        """Keep a run."""
        content = await _body(request, _SMALL)
        path = _path(request, "{run_id}/snapshots/{snapshot_id}/heartbeat")
        return _passed_on(await self.upstream.pass_on("POST", path, speaker, content))

    async def go_on(self, request: Request, speaker: Speaker) -> Response:
        """Go on after a checkpoint."""
        path = _path(request, "{run_id}/snapshots/{snapshot_id}/continue")
        return _passed_on(await self.upstream.pass_on("GET", path, speaker))

    async def since(self, request: Request, speaker: Speaker) -> Response:
        """Read what happened to a run."""
        path = _path(request, "{run_id}/snapshots/since/{snapshot_id}")
        return _passed_on(await self.upstream.pass_on("GET", path, speaker))

    async def suspend(self, _request: Request, _speaker: Speaker) -> Response:
        """Refuse to put a run away: no placement makes checkpoints. It goes on waiting where it is."""
        return JSONResponse({"ok": False, "error": "Checkpoints disabled"}, 400)

    async def debug(self, request: Request, _speaker: Speaker) -> Response:
        """Take a remark of a runner about itself."""
        content = await _body(request, _SMALL)
        _log.debug("%s", content.decode(errors="replace"))
        return Response(status_code=204)

    async def nothing(self, _request: Request, _speaker: Speaker) -> Response:
        """Hand out nothing: runners of today are given their run."""
        return JSONResponse([])

    async def may_rest(self, _request: Request) -> Response:
        """Say for how long runners may wait for their next run."""
        rest_ms = round(self.keep_warm_s * 1000)
        return JSONResponse({"connectionTimeoutMs": _REST_CALL_MS, "keepaliveMs": rest_ms})

    async def rest(self, request: Request) -> Response:
        """Give a runner its next run, or let it go; it asks again if that takes long."""
        speaker = self.read_token(request.headers.get(_RESTING_TOKEN, ""))
        if speaker is None:
            return Response(status_code=401)
        resting = asyncio.create_task(self.crew.rest(speaker.runner))
        leaving = asyncio.create_task(_left(request))
        await asyncio.wait({resting, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not resting.done():
            resting.cancel()
            return Response(status_code=408)
        message = resting.result()
        if message is None:
            return Response(status_code=404)
        return JSONResponse(message.to_wire())

    def known(self, handle: Callable[[Request, Speaker], Awaitable[Response]]) -> Handler:
        """Return a handler that serves runners of this group alone."""

        async def answer(request: Request) -> Response:
            speaker = self.read_token(request.headers.get(_TOKEN, ""))
            if speaker is None:
                return Response(status_code=401)
            try:
                return await handle(request, speaker)
            except _TooLargeError:
                return Response(status_code=413)
            except ClientDisconnect:
                return Response(status_code=400)
            except TriggerError as error:
                _log.warning("%s %s: %s", request.method, request.url.path, error)
                return Response(status_code=500)

        return answer


def build(workload: Workload, sockets: WorkloadSockets) -> Starlette:
    """Return the ASGI application."""
    known = workload.known
    routes: list[BaseRoute] = [
        Route(f"{_SNAPSHOT}/attempts/start", known(workload.start), methods=["POST"]),
        Route(f"{_SNAPSHOT}/attempts/complete", known(workload.complete), methods=["POST"]),
        Route(f"{_SNAPSHOT}/heartbeat", known(workload.heartbeat), methods=["POST"]),
        Route(f"{_RUN}/snapshots/since/{{snapshot_id}}", known(workload.since)),
        Route(f"{_SNAPSHOT}/suspend", known(workload.suspend)),
        Route(f"{_SNAPSHOT}/continue", known(workload.go_on)),
        Route(f"{_RUN}/logs/debug", known(workload.debug), methods=["POST"]),
        Route(f"{_ACTIONS}/deployments/{{deployment_id}}/dequeue", known(workload.nothing)),
        Route("/connect", workload.may_rest),
        Route("/warm-start", workload.rest),
        Route("/health", _health),
        Mount("/socket.io", sockets.app),
    ]
    return Starlette(routes=routes)


async def _health(_request: Request) -> Response:
    return PlainTextResponse("OK")


async def _left(request: Request) -> None:
    """Wait until the client has gone."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _path(request: Request, pattern: str) -> str:
    """Return a path below a run's, whatever the parts of the request's own path hold."""
    return pattern.format(**{name: _part(str(it)) for name, it in request.path_params.items()})


def _part(text: str) -> str:
    """Spell a part of a path; one of dots alone would lead elsewhere, with the token of the group."""
    return quote(text, safe="") if text.strip(".") else text.replace(".", "%2E")


async def _body(request: Request, most: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise _TooLargeError
    return bytes(body)


def _passed_on(answer: Answer) -> Response:
    return Response(
        answer.body, answer.status, media_type=answer.headers.get("content-type", "text/plain")
    )


class _TooLargeError(Exception):
    """A body is larger than its route takes."""
