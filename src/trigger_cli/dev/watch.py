"""Watching the project: one signal when something that matters was saved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from watchfiles import Change, awatch

from trigger_cli.dev import env_files
from trigger_sdk.config import CONFIG_FILE

__all__ = ["changes"]

_IGNORED = {".venv", "venv", ".git", ".trigger", "__pycache__", "node_modules", ".mypy_cache"}
_DEBOUNCE_MS = 50
_STEP_MS = 10


def changes(folder: Path, stop: asyncio.Event) -> AsyncIterator[set[tuple[Change, str]]]:
    """Yield after saves of Python files, the configuration and ``.env`` files under the project."""
    return awatch(
        folder,
        watch_filter=lambda _change, path: _matters(Path(path), folder),
        debounce=_DEBOUNCE_MS,
        step=_STEP_MS,
        stop_event=stop,
        raise_interrupt=False,
    )


def _matters(file: Path, folder: Path) -> bool:
    if not file.is_relative_to(folder):
        return False
    parts = file.relative_to(folder).parts
    if _IGNORED & set(parts):
        return False
    return file.suffix == ".py" or file.name in env_files.NAMES or file.name == CONFIG_FILE
