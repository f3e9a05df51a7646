"""Fixtures of the end-to-end tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.dev import Dev, write_project


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Dev]]:
    """Start sessions that end with the test."""
    started: list[Dev] = []

    def begin(tasks: str, *arguments: str, wait: bool = True, config: str = "") -> Dev:
        write_project(tmp_path, tasks, config=config)
        session = Dev(tmp_path, *arguments, wait=wait)
        started.append(session)
        return session

    yield begin
    for session in started:
        session.stop()
