"""Pages of other origins: which routes they may call, and what they may read (protocol 0.9).

A page calls with a public token that somebody gave it, never with what the browser adds by itself, so any
origin may, unless the settings say which: those routes take credentials of the request alone. Browsers are
never allowed to add theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from starlette.requests import Request
from starlette.responses import Response

from trigger_core.schemas.errors import ErrorBody
from trigger_platform.http import problems

__all__ = ["ANY", "Origins"]

ANY = "*"

_DAY_S = "86400"
_ALLOWED = "access-control-allow-origin"
_READABLE = (
    "x-trigger-jwt",
    "x-trigger-jwt-claims",
    "x-should-retry",
    "retry-after",
    "x-request-id",
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
# By name too: what is older than the asterisk takes it for a name.
_EXPOSED = {"access-control-expose-headers": ", ".join(("*", *_READABLE))}
_VARIES = {"vary": "origin"}

Handler = Callable[[Request], Response]


class Origins:
    """Whose pages may call."""

    def __init__(self, allowed: Iterable[str]) -> None:
        self._allowed = frozenset(allowed)
        self._any = {_ALLOWED: ANY, **_EXPOSED} if ANY in self._allowed else None

    def answer(self, origin: str) -> Mapping[str, str]:
        """Return headers of every answer to a page: without them the browser keeps it from the page."""
        if self._any is not None:
            return self._any
        return {_ALLOWED: origin, **_EXPOSED, **_VARIES} if origin in self._allowed else _VARIES

    def preflight(self, methods: Iterable[str]) -> Handler:
        """Return what answers a browser that asks whether a page may send such a request."""
        allowed = ", ".join(sorted({*methods, "OPTIONS"}))

        def answer(request: Request) -> Response:
            origin = request.headers.get("origin", "")
            told = self.answer(origin)
            if _ALLOWED not in told:
                return _refusal(origin)
            asked = request.headers.get(
                "access-control-request-headers", "authorization, content-type"
            )
            headers = {
                **told,
                "access-control-allow-methods": allowed,
                "access-control-allow-headers": asked,
                "access-control-max-age": _DAY_S,
                "vary": "origin, access-control-request-headers",
            }
            return Response(status_code=204, headers=headers)

        return answer


def _refusal(origin: str) -> Response:
    body = ErrorBody(
        error="Forbidden",
        code="ORIGIN_NOT_ALLOWED",
        because=f"pages of {origin!r} may not call this server",
        fix="add the origin to TRIGGER_ALLOWED_ORIGINS, such as https://app.example.com",
    )
    return problems.answer(403, body, dict(_VARIES))
