"""A platform in this process, on a database in memory, asked through ASGI."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.http import Platform, serving


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """A platform with its loops running."""
    async with serving() as platform:
        yield platform
