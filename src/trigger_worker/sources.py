"""The project's own source files, as they were when they were imported.

They are never taken from bytecode: that is told apart by the second and the size of the source, and a save
may keep both. What was read is remembered, so that the version's hash is that of the code it executes, and
so that a fresh interpreter can be given the same code after the files have changed.
"""

from __future__ import annotations

import hashlib
import sys
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
)
from pathlib import Path
from typing import Any

__all__ = ["Sources", "is_own"]

_FOREIGN = {"site-packages", ".venv", "venv", "node_modules"}


def is_own(file: Path, folder: Path) -> bool:
    """Tell whether a file is the user's: in the project, but in no environment inside it."""
    return file.is_relative_to(folder) and not _FOREIGN & set(file.relative_to(folder).parts)


class Sources:
    """What was read of a project's files; ``given`` texts are used instead of what the disk holds."""

    def __init__(self, folder: Path, given: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.given = given
        self.texts: dict[str, bytes] = {}

    def install(self) -> None:
        """Import the project's modules through here from now on."""
        sys.path_hooks.insert(0, self._finder)
        for known in list(sys.path_importer_cache):
            if is_own(Path(known), self.folder):
                del sys.path_importer_cache[known]

    def read(self, file: Path) -> bytes:
        """Read a file, or what it was when the version was made; remember it."""
        name = str(file)
        text = (self.given or {}).get(name)
        data = file.read_bytes() if text is None else text.encode(errors="surrogateescape")
        self.texts[name] = data
        return data

    def digest(self, file: str) -> bytes:
        """Return the digest of a file as it was read."""
        data = self.texts.get(file)
        return hashlib.sha256(self.read(Path(file)) if data is None else data).digest()

    def to_wire(self) -> dict[str, str]:
        """Return what was read, for another interpreter."""
        return {name: data.decode(errors="surrogateescape") for name, data in self.texts.items()}

    def _finder(self, path: str) -> FileFinder:
        if not is_own(Path(path), self.folder):
            raise ImportError(path)
        sources = self

        class Loader(SourceFileLoader):
            """Reads source, not bytecode."""

            def path_stats(self, path: str) -> Any:
                raise OSError(path)

            def get_data(self, path: str) -> bytes:
                return sources.read(Path(path))

        return FileFinder(
            path, (ExtensionFileLoader, EXTENSION_SUFFIXES), (Loader, SOURCE_SUFFIXES)
        )
