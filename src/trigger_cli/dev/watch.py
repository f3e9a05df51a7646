"""Watching the project: one signal when something that matters was saved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from watchfiles import Change, awatch

__all__ = ["changes"]

_IGNORED = {".venv", "venv", ".git", ".trigger", "__pycache__", "node_modules", ".mypy_cache"}
_DEBOUNCE_MS = 50
_STEP_MS = 10


def changes(
    folder: Path, env_files: tuple[str, ...], stop: asyncio.Event
) -> AsyncIterator[set[tuple[Change, str]]]:
    """Yield after saves of Python files and ``.env`` files under the project."""
    return awatch(
        folder,
        watch_filter=lambda _change, path: _matters(Path(path), folder, env_files),
        debounce=_DEBOUNCE_MS,
        step=_STEP_MS,
        stop_event=stop,
        raise_interrupt=False,
    )


def _matters(file: Path, folder: Path, env_files: tuple[str, ...]) -> bool:
    if not file.is_relative_to(folder):
        return False
    parts = file.relative_to(folder).parts
    if _IGNORED & set(parts):
        return False
    return file.suffix == ".py" or str(file.relative_to(folder)) in env_files
