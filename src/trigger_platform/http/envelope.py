"""What every answer carries: the number of its request, and what a browser must not do with it.

The number stands in every log line that is written for the request. A proxy may have given it.
"""

from __future__ import annotations

import itertools
import logging
import re
import secrets
import time
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trigger_core.redaction import MASK, without_keys
from trigger_platform.log_lines import request_id

__all__ = ["Envelope"]

_Header = tuple[bytes, bytes]

_log = logging.getLogger("trigger_platform.requests")
_NAME = b"x-request-id"
_WELL_FORMED = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_STRICT = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_SET_BY_PAGES = frozenset(name for name, _ in _STRICT)
_SECRETS = ("code", "hash", "link")
"""Parameters of paths that open what the path names."""
_TLS_ONLY = (b"strict-transport-security", b"max-age=31536000")


class Envelope:
    """ASGI middleware; a header that a route set itself stays as it is."""

    def __init__(self, app: ASGIApp, *, is_encrypted: bool = False, logs_all: bool = False) -> None:
        self._app = app
        self._headers = (*_STRICT, _TLS_ONLY) if is_encrypted else _STRICT
        self._logs_all = logs_all
        self._prefix = secrets.token_hex(4) + "-"
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        number = self._number(scope)
        token = request_id.set(number)
        began = time.perf_counter()

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = self._complete(message.get("headers", ()), number)
                if self._logs_all or message["status"] >= 500:
                    _note(scope, message["status"], time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, answer)
        finally:
            request_id.reset(token)

    def _complete(self, given: Iterable[_Header], number: str) -> list[_Header]:
        headers = list(given)
        if any(name in _SET_BY_PAGES for name, _ in headers):
            names = {name for name, _ in headers}
            headers += [pair for pair in self._headers if pair[0] not in names]
        else:
            headers += self._headers
        headers.append((_NAME, number.encode()))
        return headers

    def _number(self, scope: Scope) -> str:
        for name, value in scope["headers"]:
            if name == _NAME and _WELL_FORMED.fullmatch(value):
                return str(value, "ascii")
        return f"{self._prefix}{next(self._numbers):x}"


def _note(scope: Scope, status: int, seconds: float) -> None:
    """Log a request: the path without its query and without the secrets that are part of it."""
    level = logging.WARNING if status >= 500 else logging.INFO
    path = without_keys(scope["path"])
    for value in filter(None, map(scope.get("path_params", {}).get, _SECRETS)):
        path = path.replace(value, MASK)
    _log.log(level, "%s %s %d in %d ms", scope["method"], path, status, seconds * 1000)
