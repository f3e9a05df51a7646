"""A platform that is attacked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from support import postgres
from support.http import Platform, serving
from support.login import PASSWORD, Site
from support.tenants import settle
from trigger_platform import passwords
from trigger_platform.engine import user
from trigger_platform.engine.role import Role


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """A platform with its loops running."""
    async with serving() as platform:
        yield platform


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """A site, and a browser that has not logged in."""
    async with serving(login=True) as platform:
        yield await _site(platform)


@pytest.fixture
async def two_processes() -> AsyncIterator[tuple[Site, Site]]:
    """The same site, served by two processes on one PostgreSQL database."""
    address = postgres.emptied_database()
    async with AsyncExitStack() as stack:
        one, other = [
            await stack.enter_async_context(serving(address, login=True)) for _ in range(2)
        ]
        first = await _site(one)
        del other.http.headers["authorization"]
        yield first, Site(other, first.acme)


async def _site(platform: Platform) -> Site:
    del platform.http.headers["authorization"]
    acme = await settle(platform, "acme")
    kept = await passwords.hash_of(PASSWORD)
    await platform.server.units.write(user.set_password, acme.users[Role.OWNER], kept)
    return Site(platform, acme)
