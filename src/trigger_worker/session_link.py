"""The worker's link to the dev session: commands on stdin, events on stdout, one JSON line each."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any

from trigger_core.redaction import Redactor
from trigger_worker.ipc import Message

__all__ = ["SessionLink"]

_LINE_LIMIT = 1 << 24


class SessionLink:
    """Keeps the real stdout for events; anything else that is printed goes to stderr."""

    def __init__(self) -> None:
        self._out = os.dup(1)
        os.dup2(2, 1)
        self._secrets = Redactor()

    def hide(self, values: Iterable[str]) -> None:
        """Tell none of these values from now on, nor those of before: older versions still have them."""
        self._secrets = Redactor({*self._secrets.values, *values})

    def emit(self, event: str, **fields: Any) -> None:
        """Send an event; fields that are ``None`` are left out."""
        given = {key: value for key, value in fields.items() if value is not None}
        told = {"event": event, **given}
        if self._secrets:
            told = self._secrets.data(told)
        line = json.dumps(told, ensure_ascii=False) + "\n"
        data = line.encode()
        with suppress(BrokenPipeError):  # the session is gone; its end of stdin ends this worker
            while data:
                data = data[os.write(self._out, data) :]

    async def commands(self) -> AsyncIterator[Message]:
        """Yield commands until the session closes its end."""
        reader = asyncio.StreamReader(limit=_LINE_LIMIT)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while line := await reader.readline():
            yield json.loads(line)
