"""Pages of other origins: which routes they may call, and what they may read (protocol 0.9).

A page calls with a public token that somebody gave it, never with what the browser adds by itself, so any
origin may: those routes take credentials of the request alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["ANSWER", "preflight"]

_DAY_S = "86400"
_READABLE = (
    "x-trigger-jwt",
    "x-trigger-jwt-claims",
    "x-should-retry",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-stream-version",
    "x-last-chunk-index",
    "electric-handle",
    "electric-offset",
    "electric-schema",
    "electric-cursor",
    "electric-up-to-date",
)

ANSWER = {
    "access-control-allow-origin": "*",
    # By name too: what is older than the asterisk takes it for a name.
    "access-control-expose-headers": ", ".join(("*", *_READABLE)),
}
"""Headers of every answer to a page of another origin."""


def preflight(methods: Iterable[str]) -> Callable[[Request], Response]:
    """Return what answers a browser that asks whether a page may send such a request."""
    allowed = ", ".join(sorted({*methods, "OPTIONS"}))

    def answer(request: Request) -> Response:
        asked = request.headers.get("access-control-request-headers", "authorization, content-type")
        headers = {
            "access-control-allow-methods": allowed,
            "access-control-allow-headers": asked,
            "access-control-max-age": _DAY_S,
            "vary": "access-control-request-headers",
        }
        return Response(status_code=204, headers=ANSWER | headers)

    return answer
