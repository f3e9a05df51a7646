"""A Socket.IO client that speaks the frames of the protocol itself, over web sockets alone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from simple_websocket import AioClient

__all__ = ["SocketClient", "connected"]


@dataclass
class SocketClient:
    """A connection to one namespace."""

    socket: AioClient
    namespace: str

    async def emit(self, event: str, data: Any) -> None:
        """Send an event."""
        await self.socket.send(f"42{self.namespace},{json.dumps([event, data])}")

    async def ask(self, event: str, data: Any) -> None:
        """Send an event and wait until the server has done with it; events before that are not kept."""
        await self.socket.send(f"42{self.namespace},7{json.dumps([event, data])}")
        while (frame := await self.frame()).startswith(f"42{self.namespace},"):
            pass
        assert frame.startswith(f"43{self.namespace},7")

    async def event(self) -> tuple[str, Any]:
        """Return the next event."""
        head, _, text = (await self.frame()).partition(",")
        assert head == f"42{self.namespace}"
        name, data = json.loads(text)
        return name, data

    async def frame(self) -> str:
        """Return the next frame; what only asks whether we are there is answered."""
        while True:
            text = await self.socket.receive(timeout=20)
            if text != "2":
                return str(text)
            await self.socket.send("3")


@asynccontextmanager
async def connected(
    url: str, key: str, namespace: str = "/dev-worker", **headers: str
) -> AsyncIterator[SocketClient]:
    """Connect to a namespace; the first frame says whether the server let us in."""
    address = url.replace("http", "ws", 1) + "/socket.io/?EIO=4&transport=websocket"
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    said["Authorization"] = f"Bearer {key}"
    socket = await AioClient.connect(address, headers=said)
    client = SocketClient(socket, namespace)
    try:
        assert (await client.frame()).startswith("0{")
        await socket.send(f"40{namespace},")
        yield client
    finally:
        await socket.close()
