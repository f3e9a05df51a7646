"""Fixtures of the engine's tests: all of them run on every database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support import engine as engines
from support import postgres
from support.engine import Engine, open_engine, task
from trigger_platform.store.sqlite import MEMORY


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test on each database."""
    metafunc.parametrize("store", ["sqlite", "postgres"], indirect=True)


@pytest.fixture(autouse=True)
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``open_engine`` use each database in turn."""
    kind = getattr(request, "param", "sqlite")
    address = (lambda: MEMORY) if kind == "sqlite" else postgres.emptied_database
    monkeypatch.setattr(engines, "address", address)


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine with one registered task named ``task``."""
    opened = open_engine()
    opened.register(task())
    yield opened
    opened.db.close()
