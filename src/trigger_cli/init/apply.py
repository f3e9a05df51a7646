"""Writing what was planned: new files only where there are none, changed ones whole or not at all."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trigger_cli.init.plan import Change
from trigger_core.errors import ConfigError, StoreError

__all__ = ["apply"]


def apply(changes: Iterable[Change]) -> None:
    """Make the changes.

    Raises:
        StoreError: a folder or file cannot be written to.
        ConfigError: a file appeared meanwhile; it is not overwritten.
    """
    for change in changes:
        try:
            _write(change)
        except FileExistsError as error:
            raise ConfigError(f"{change.file} exists by now; it is left alone") from error
        except OSError as error:
            raise StoreError(
                f"{change.file} cannot be written",
                code="FOLDER_NOT_WRITABLE",
                because=error.strerror,
                hint="make the folder writable",
            ) from error


def _write(change: Change) -> None:
    if change.kind == "kept":
        return
    change.file.parent.mkdir(parents=True, exist_ok=True)
    if change.kind == "created":
        with change.file.open("x", encoding="utf-8") as file:
            file.write(change.content)
        return
    draft = Path(f"{change.file}.trigger-init")
    draft.write_text(change.content, encoding="utf-8")
    draft.chmod(change.file.stat().st_mode)
    draft.replace(change.file)
