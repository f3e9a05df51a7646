"""A platform in this process, on a database in memory, asked through ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from support.http import PROJECT, Platform
from support.keys import KEYS
from trigger_core.clock import VirtualClock
from trigger_platform.app import build, open_server
from trigger_platform.settings import Settings
from trigger_platform.store.sqlite import MEMORY, open_database


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """A platform with its loops running."""
    clock = VirtualClock()
    settings = Settings(data_dir=Path(), project_ref=PROJECT, encryption_keys=KEYS)
    server = await open_server(settings, clock=clock, db=open_database(MEMORY))
    app = build(server)
    headers = {"authorization": f"Bearer {server.secret_key_of(server.local.environment)}"}
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1:8030", headers=headers
        ) as http,
    ):
        yield Platform(server, clock, http)
    server.units.db.close()
