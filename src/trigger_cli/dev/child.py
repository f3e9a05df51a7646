"""A process the session keeps running: it is told things by JSON lines and tells things by JSON lines."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

__all__ = ["Child", "Message"]

Message = dict[str, Any]
_LINE_LIMIT = 1 << 24


class Child:
    """One process. Closing its stdin tells it that the session is gone."""

    def __init__(
        self, module: str, arguments: list[str], cwd: str, hear: Callable[[Message], None]
    ) -> None:
        # -P: a `select.py` in the project's folder must not stand in for the standard library's
        self._command = [sys.executable, "-P", "-m", module, *arguments]
        self._cwd = cwd
        self._hear = hear
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it; what it says is heard from now on."""
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            cwd=self._cwd,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=_LINE_LIMIT,
        )

    async def ended(self) -> int:
        """Pass on what it says until it ends; return its exit code."""
        process = self._running()
        assert process.stdout is not None
        while line := await process.stdout.readline():
            self._hear(json.loads(line))
        return await process.wait()

    def tell(self, message: Message) -> None:
        """Send it a message."""
        process = self._running()
        assert process.stdin is not None
        with suppress(ConnectionError):
            process.stdin.write(json.dumps(message).encode() + b"\n")

    async def stop(self, seconds: float) -> None:
        """Let it end by itself, and kill it if it takes too long."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(seconds):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    def _running(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process
