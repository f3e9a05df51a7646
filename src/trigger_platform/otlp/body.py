"""Unpacking a compressed body, no further than is allowed."""

from __future__ import annotations

import zlib

from trigger_core.errors import PayloadTooLargeError, UsageError
from trigger_platform.otlp.exported import MalformedError

__all__ = ["LIMIT", "STRANGERS_LIMIT", "strangers_limit", "unpack"]

LIMIT = 8 * 1024 * 1024
"""How large a body may be, packed or unpacked."""

STRANGERS_LIMIT = 2 * 1024 * 1024
"""The same for somebody who shows nothing: the official worker in development sends span by span."""

_GZIP = 16 + zlib.MAX_WBITS
_SMALL = 64 * 1024
_RATIO = 50
"""Telemetry packs ten to thirty times."""


def strangers_limit(packed: bytes) -> int:
    """Return how far a body of somebody who shows nothing is unpacked: what he sends costs him something."""
    return min(STRANGERS_LIMIT, _SMALL + _RATIO * len(packed))


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """Return the body as it was before it was compressed.

    Raises:
        UsageError: it is compressed in a way that is not understood.
        PayloadTooLargeError: it is larger than allowed.
        MalformedError: it is broken.
    """
    if encoding in {"", "identity"}:
        return body
    if encoding != "gzip":
        raise UsageError(
            f"Content-Encoding {encoding!r} is not understood",
            code="OTLP_ENCODING",
            hint="send it plain or as gzip",
        )
    unpacker = zlib.decompressobj(_GZIP)
    try:
        plain = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise MalformedError("Invalid gzip", because=str(error)) from error
    if len(plain) > limit:
        raise PayloadTooLargeError(
            "Request body too large", because=f"it unpacks to more than {limit:,} bytes"
        )
    if not unpacker.eof or unpacker.unused_data:
        raise MalformedError("Invalid gzip", because="it ends too early or too late")
    return plain
