"""The guard in front of everything: a web page must not reach this server through the user's browser.

A page that rebinds its name to 127.0.0.1 still sends its own name as Host; a page that posts from elsewhere
still sends its own Origin. Both are refused.
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
    """ASGI middleware that checks Host, and Origin for what changes something."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reason = _refusal(scope["method"], Headers(scope=scope))
        if reason is None:
            await self._app(scope, receive, send)
            return
        body = ErrorBody(error="Forbidden", code="FOREIGN_REQUEST", because=reason)
        await problems.answer(403, body)(scope, receive, send)


def _refusal(method: str, headers: Headers) -> str | None:
    host = headers.get("host", "")
    if _name(host) not in LOOPBACK:
        return f"the Host header names {host!r}, this server is 127.0.0.1"
    origin = headers.get("origin")
    if method in _SAFE or origin is None:
        return None
    if origin.partition("://")[2] != host:
        return f"the request comes from {origin!r}"
    return None


def _name(host: str) -> str:
    """Return the host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0]
