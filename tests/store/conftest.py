"""The databases that must keep the store's promises; PostgreSQL joins the list when it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trigger_platform.store.database import Database
from trigger_platform.store.sqlite import MEMORY, open_database


@pytest.fixture(params=["sqlite-file", "sqlite-memory"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Each database in turn."""
    path = MEMORY if request.param == "sqlite-memory" else tmp_path / "store.db"
    opened = open_database(path)
    yield opened
    opened.close()
