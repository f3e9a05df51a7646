"""Fixtures: a database of each kind that outlives being closed."""

from __future__ import annotations

from pathlib import Path

import pytest

from support import postgres


@pytest.fixture(params=["sqlite", "postgres"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "postgres":
        return postgres.empty_database()
    return str(tmp_path / "trigger.db")
