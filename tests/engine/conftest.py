"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.engine import Engine, open_engine, task


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine with one registered task named ``task``."""
    opened = open_engine()
    opened.register(task())
    yield opened
    opened.db.close()
