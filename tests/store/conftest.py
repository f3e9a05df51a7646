"""The databases that must keep the store's promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import postgres
from trigger_platform.store.database import Database
from trigger_platform.store.opening import open_database
from trigger_platform.store.sqlite import MEMORY


@pytest.fixture(params=["sqlite-file", "sqlite-dev", "sqlite-memory", "postgres"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """Each database in turn."""
    addresses: dict[str, Callable[[], str | Path]] = {
        "sqlite-file": lambda: tmp_path / "store.db",
        "sqlite-dev": lambda: tmp_path / "store.db",
        "sqlite-memory": lambda: MEMORY,
        "postgres": postgres.emptied_database,
    }
    opened = open_database(addresses[request.param](), durable=request.param != "sqlite-dev")
    yield opened
    opened.close()
