"""The platform's notices: which of the runs that are watched has a new snapshot (Socket.IO, protocol F.1).

They only make things faster: runners look by themselves every few seconds. So a connection that breaks is
made again, and everybody looks once when it is.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from simple_websocket import AioClient, ConnectionClosed
from simple_websocket import ConnectionError as HandshakeError

__all__ = ["Notices"]

_log = logging.getLogger(__name__)

_NAMESPACE = "/worker"
_QUIET_S = 60.0
"""Longer than the platform is ever silent: it asks every 25 seconds whether we are there."""
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 10.0


class Notices:
    """A connection that is kept, and the runs it watches."""

    def __init__(
        self, api_url: str, headers: Mapping[str, str], tell: Callable[[str], None]
    ) -> None:
        parts = urlsplit(api_url)
        scheme = "wss" if parts.scheme == "https" else "ws"
        folder = parts.path.rstrip("/")
        self._address = f"{scheme}://{parts.netloc}{folder}/socket.io/?EIO=4&transport=websocket"
        self._headers = dict(headers)
        self._tell = tell
        self._runs: set[str] = set()
        self._socket: AioClient | None = None

    async def watch(self, run_id: str) -> None:
        """Be told of a run."""
        self._runs.add(run_id)
        await self._say("run:subscribe", [run_id])

    async def forget(self, run_id: str) -> None:
        """Be told of a run no more."""
        self._runs.discard(run_id)
        await self._say("run:unsubscribe", [run_id])

    async def run(self) -> None:
        """Stay connected for ever."""
        pause = _FIRST_PAUSE_S
        while True:
            try:
                await self._listen()
                pause = _FIRST_PAUSE_S
            except (OSError, HandshakeError, ConnectionClosed, ValueError) as error:
                if pause == _FIRST_PAUSE_S:
                    why = str(error) or type(error).__name__
                    _log.warning("no notices from the platform for now: %s", why)
                pause = min(_LONGEST_PAUSE_S, pause * 2)
            finally:
                self._socket = None
            await asyncio.sleep(pause)

    async def _listen(self) -> None:
        """Connect, subscribe, and pass notices on until the connection ends."""
        socket = await AioClient.connect(self._address, headers=self._headers)
        try:
            await self._expect(socket, "0{")
            await socket.send(f"40{_NAMESPACE},")
            await self._expect(socket, f"40{_NAMESPACE},")
            self._socket = socket
            await self._say("run:subscribe", sorted(self._runs))
            for run_id in list(self._runs):
                self._tell(run_id)
            while True:
                self._heed(await _frame(socket))
        finally:
            with suppress(ConnectionClosed):
                await socket.close()

    async def _expect(self, socket: AioClient, beginning: str) -> None:
        frame = await _frame(socket)
        if not frame.startswith(beginning):
            raise ValueError(f"the platform answers {frame!r}")

    def _heed(self, frame: str) -> None:
        event, _, text = frame.partition(",")
        if event != f"42{_NAMESPACE}":
            return
        name, said = json.loads(text)
        if name == "run:notify":
            self._tell(str(said["run"]["friendlyId"]))

    async def _say(self, event: str, run_ids: list[str]) -> None:
        if self._socket is None or not run_ids:
            return
        said: list[Any] = [event, {"version": "1", "runFriendlyIds": run_ids}]
        with suppress(OSError, ConnectionClosed):  # the next connection says it again
            await self._socket.send(f"42{_NAMESPACE},{json.dumps(said, separators=(',', ':'))}")


async def _frame(socket: AioClient) -> str:
    """Return the next frame; questions are answered.

    Raises:
        TimeoutError: nothing came for too long. (The library's own time limit may swallow a cancellation.)
    """
    while True:
        async with asyncio.timeout(_QUIET_S):
            text = await socket.receive()
        if text != "2":
            return str(text)
        await socket.send("3")
