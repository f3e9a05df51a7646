"""Named SQL: ``-- name: xyz`` starts a statement in ``sql/*.sql``; the lines after it say what it is for."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

__all__ = ["load", "migrations"]

_NAME = re.compile(r"^-- name: (\w+)\s*$", re.MULTILINE)


@cache
def load(dialect: str) -> dict[str, str]:
    """Return every statement by name; files under ``sql/<dialect>/`` replace common ones of the same name.

    Raises:
        ValueError: two files of one folder give the same name.
    """
    folder = resources.files("trigger_platform.store") / "sql"
    found = _read(folder)
    overlay = folder / dialect
    if overlay.is_dir():
        found |= _read(overlay)
    return found


def _read(folder: Traversable) -> dict[str, str]:
    found: dict[str, str] = {}
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql"):
            continue
        parts = _NAME.split(file.read_text(encoding="utf-8"))
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            if name in found:
                raise ValueError(f"two SQL statements are named {name!r}")
            found[name] = text.strip().rstrip(";")
    return found


@cache
def migrations() -> tuple[tuple[int, str], ...]:
    """Return the numbered migrations in order: number and SQL text."""
    folder = resources.files("trigger_platform.store") / "migrations"
    files = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    numbered = ((int(file.name[:4]), file.read_text(encoding="utf-8")) for file in files)
    return tuple(sorted(numbered))
