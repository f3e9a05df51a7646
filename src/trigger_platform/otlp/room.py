"""How much of one request is read: a small packed body can hold millions of records and values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from trigger_core.errors import PayloadTooLargeError

__all__ = ["RECORDS", "Room"]

T = TypeVar("T")

RECORDS = 5_000
"""How many records of one request are looked at."""

_GROUPS = 5_000
_VALUES = 300_000


class Room:
    """What is left: records that are too many are counted, values that are too many are left out."""

    def __init__(self) -> None:
        self.surplus = 0
        self._records = RECORDS
        self._groups = _GROUPS
        self._values = _VALUES

    def groups(self, found: Sequence[T]) -> Sequence[T]:
        """Return resources, scopes or metrics, in which the records come.

        Raises:
            PayloadTooLargeError: there are too many.
        """
        self._groups -= len(found)
        if self._groups < 0:
            raise PayloadTooLargeError(
                "Request body too large",
                because=f"it has more than {_GROUPS:,} resources, scopes and metrics",
            )
        return found

    def records(self, found: Sequence[T]) -> Sequence[T]:
        """Return those of some records that are read."""
        taken = found[: self._records]
        self._records -= len(taken)
        self.surplus += len(found) - len(taken)
        return taken

    def values(self, found: Sequence[T]) -> Sequence[T]:
        """Return those of some values that are read."""
        taken = found[: self._values]
        self._values -= len(taken)
        return taken
