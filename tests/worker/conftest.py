"""Fixtures of the worker's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from worker.harness import Pair


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Pair]]:
    """Start a platform and a worker on a project with these tasks, not yet loaded."""
    pairs: list[Pair] = []

    def begin(tasks: str, *, config: str = "") -> Pair:
        pairs.append(Pair(tmp_path / f"project{len(pairs)}", tasks, config=config))
        return pairs[-1]

    yield begin
    for pair in pairs:
        pair.close()
