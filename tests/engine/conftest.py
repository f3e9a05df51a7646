"""Fixtures of the engine's tests: all of them run on every database."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support import engine as engines
from support import postgres
from support.engine import Engine, open_database, open_engine, task
from trigger_platform.store.sqlite import MEMORY


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test on each database."""
    metafunc.parametrize("store", ["sqlite", "postgres"], indirect=True)


@pytest.fixture(autouse=True)
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let ``open_engine`` use each database in turn."""
    kind = str(getattr(request, "param", "sqlite"))
    address = (lambda: MEMORY) if kind == "sqlite" else postgres.emptied_database
    monkeypatch.setattr(engines, "address", address)
    return kind


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine with one registered task named ``task``."""
    opened = open_engine()
    opened.register(task())
    yield opened
    opened.db.close()


@pytest.fixture(scope="session")
def empty_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file with our schema and no rows; making one costs far more than copying it."""
    file = tmp_path_factory.mktemp("empty") / "runs.db"
    open_database(file, durable=False).close()
    return file


@pytest.fixture
def fresh(store: str, empty_file: Path, tmp_path: Path) -> Callable[[], str]:
    """Return the address of an empty database that outlives being closed; the last one must be closed."""
    if store == "postgres":
        return postgres.emptied_database
    numbers = itertools.count()
    return lambda: str(shutil.copyfile(empty_file, tmp_path / f"{next(numbers)}.db"))
