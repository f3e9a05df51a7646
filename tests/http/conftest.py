"""A platform in this process, on a database in memory, asked through ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support import postgres
from support.http import Platform, serving
from trigger_platform.store.sqlite import MEMORY


@pytest.fixture
def address(request: pytest.FixtureRequest) -> str:
    """Where the platform's database is: in memory, unless a test asks for ``postgres``."""
    return postgres.emptied_database() if getattr(request, "param", "") == "postgres" else MEMORY


@pytest.fixture
async def platform(address: str) -> AsyncIterator[Platform]:
    """A platform with its loops running."""
    async with serving(address) as platform:
        yield platform
