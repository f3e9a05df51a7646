"""A platform that is attacked."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.http import Platform, serving


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """A platform with its loops running."""
    async with serving() as platform:
        yield platform
