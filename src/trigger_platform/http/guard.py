"""The guard in front of everything: a web page must not reach this server through the user's browser.

A page that rebinds its name to this server's address still sends its own name as Host; a page that posts from
elsewhere still sends its own Origin. Both are refused. The address itself as Host is no name to rebind.
"""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from trigger_core.schemas.errors import ErrorBody
from trigger_platform.http import problems
from trigger_platform.settings import LOOPBACK

__all__ = ["Guard"]

_SAFE = {"GET", "HEAD", "OPTIONS"}


class Guard:
    """ASGI middleware that checks Host, and Origin for what changes something and for web sockets."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] = LOOPBACK) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        reason = self._refusal(scope, Headers(scope=scope))
        if reason is None:
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        body = ErrorBody(error="Forbidden", code="FOREIGN_REQUEST", because=reason)
        await problems.answer(403, body)(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> str | None:
        host = headers.get("host", "")
        name = _name(host)
        if name not in self._hosts and name != (scope.get("server") or ("",))[0]:
            return f"the Host header names {host!r}, which is no name of this server"
        origin = headers.get("origin")
        if origin is None or scope.get("method") in _SAFE:
            return None
        if origin.partition("://")[2] != host:
            return f"the request comes from {origin!r}"
        return None


def _name(host: str) -> str:
    """Return the host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()
