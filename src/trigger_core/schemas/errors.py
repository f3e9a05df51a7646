"""Error bodies (protocol 0.4): ``error`` for every client, and the keys of our failure shape beside it."""

from __future__ import annotations

from trigger_core.schemas.base import WireModel

__all__ = ["ErrorBody", "ErrorDetail"]


class ErrorDetail(WireModel):
    """One thing that is wrong with a request, and where."""

    code: str
    message: str
    path: list[str] | None = None


class ErrorBody(WireModel):
    """What an unsuccessful answer carries; ``param`` and ``type`` come with what a token does not allow."""

    error: str
    code: str | None = None
    because: str | None = None
    fix: str | None = None
    docs: str | None = None
    details: list[ErrorDetail] | None = None
    param: str | None = None
    type: str | None = None
