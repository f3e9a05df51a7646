"""A database whose schema is older than this software: what is missing, and refusing to go on without it."""

from __future__ import annotations

from collections.abc import Sequence

from trigger_core.errors import StoreError

__all__ = ["missing", "refuse"]

_Migration = tuple[int, str]


def missing(applied: int, known: Sequence[_Migration]) -> list[int]:
    """Return the numbers of the migrations that are to be applied."""
    return [number for number, _ in known if number > applied]


def refuse(shown: str, applied: int, known: Sequence[_Migration]) -> None:
    """Refuse a database that is behind; change nothing.

    Raises:
        StoreError: it is.
    """
    if missing(applied, known):
        raise StoreError(
            f"the schema of {shown} is older than this version",
            code="STORE_BEHIND",
            because=f"it is number {applied}, this version needs {known[-1][0]}",
            hint="`trigger server migrate` brings it up to date",
        )
