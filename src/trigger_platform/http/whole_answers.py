"""A transport on which the head of an answer waits for its body, so that both go out in one piece.

The HTTP library writes them one after the other, and each would be sent by itself: twice the work, a reader
that is woken twice, and a server that dies in between has told a caller of success, but not of what.
"""

from __future__ import annotations

import asyncio
from typing import Any

__all__ = ["WholeAnswers"]

_BEGINNING = b"HTTP/1.1 "
_LONGEST_COPIED = 64 * 1024


class WholeAnswers:
    """Everything else is the transport's own; a head whose body does not follow at once is sent alone."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self._loop = loop
        self._head = b""

    def write(self, data: bytes) -> None:
        """Send what was held back with this; hold back a head."""
        if not self._head and data.startswith(_BEGINNING):
            self._head = data
            self._loop.call_soon(self._send_head)
            return
        if len(data) > _LONGEST_COPIED:
            self._send_head()
        held, self._head = self._head, b""
        self.transport.write(held + data)

    def close(self) -> None:
        """Send what was held back, and end."""
        self._send_head()
        self.transport.close()

    def _send_head(self) -> None:
        held, self._head = self._head, b""
        if held:
            self.transport.write(held)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)
