"""The guard in front of everything: a web page must not reach this server through the user's browser.

A page that rebinds its name to this server's address still sends its own name as Host; a page that posts from
elsewhere still sends its own Origin. Both are refused. The address itself as Host is no name to rebind. What
shows a credential that no browser adds by itself, a key or a signature, may come from anywhere: who has it
needs no browser.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from trigger_core.schemas.errors import ErrorBody
from trigger_platform.http import problems
from trigger_platform.settings import LOOPBACK

__all__ = ["Guard"]

_SAFE = {"GET", "HEAD", "OPTIONS"}
_SIGNED = "/blobs/"
_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{0,5})?")


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
        here = self._hosts | {(scope.get("server") or ("",))[0]}
        if name is None or name not in here:
            return f"the Host header names {host!r}, which is no name of this server"
        origin = headers.get("origin")
        if origin is None or scope.get("method") in _SAFE:
            return None
        if _shows_credential(headers) or scope["path"].startswith(_SIGNED):
            return None
        if origin.partition("://")[2] != host:
            return f"the request comes from {origin!r}"
        return None


def _shows_credential(headers: Headers) -> bool:
    """Tell whether there is a key or token; a name and password a browser may have remembered are none."""
    shown = headers.get("authorization", "").lower()
    return shown.startswith(("bearer ", "tr_"))


def _name(host: str) -> str | None:
    """Return the host without its port; ``None`` if it is not of this form."""
    found = _HOST.fullmatch(host)
    return found["name"].strip("[]").lower() if found else None
