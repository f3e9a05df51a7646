"""A platform in this process behind a real socket: answers arrive while they are being made."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import uvicorn

from support import keys
from support.http import PROJECT, Platform
from trigger_core.clock import VirtualClock
from trigger_platform.app import build, open_server
from trigger_platform.http.connection import Gate, protocol
from trigger_platform.settings import Settings
from trigger_platform.store.opening import open_database
from trigger_platform.store.sqlite import MEMORY

__all__ = ["listening"]


@asynccontextmanager
async def listening(address: str = MEMORY, **settings: Any) -> AsyncIterator[Platform]:
    """A platform that serves HTTP while in this block."""
    clock = VirtualClock()
    given = Settings.model_validate(
        {"project_ref": PROJECT, "encryption_key": keys.TEXT} | settings
    )
    server = await open_server(given, clock=clock, db=open_database(address))
    listener = socket.create_server(("127.0.0.1", 0))
    server.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    running = uvicorn.Server(
        uvicorn.Config(
            build(server),
            http=protocol(Gate(most=1_000, head_s=30, body_s=30)),
            log_config=None,
            timeout_graceful_shutdown=1,
        )
    )
    serving = asyncio.create_task(running.serve(sockets=[listener]))
    headers = {"authorization": f"Bearer {server.secret_key_of(server.local.environment)}"}
    try:
        async with httpx.AsyncClient(base_url=server.url, headers=headers, timeout=30) as http:
            yield Platform(server, clock, http)
    finally:
        server.close()
        running.should_exit = True
        await serving
        server.units.db.close()
