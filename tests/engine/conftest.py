"""Fixtures of the engine's tests."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.engine import Engine, open_database, open_engine, task


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
def fresh(empty_file: Path, tmp_path: Path) -> Callable[[], str]:
    """Return the address of an empty database that outlives being closed, a new one at each call."""
    numbers = itertools.count()
    return lambda: str(shutil.copyfile(empty_file, tmp_path / f"{next(numbers)}.db"))
