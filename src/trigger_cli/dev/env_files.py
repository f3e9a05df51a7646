"""Environment variables of local runs, from ``.env`` files; the shell's own variables win."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from dotenv import dotenv_values

__all__ = ["read"]


def read(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the variables of a project's files that the shell does not set; later files win."""
    found: dict[str, str] = {}
    for name in names:
        file = folder / name
        if file.is_file():
            values = dotenv_values(file, encoding="utf-8")
            found |= {key: value for key, value in values.items() if value is not None}
    return {key: value for key, value in found.items() if key not in os.environ}
