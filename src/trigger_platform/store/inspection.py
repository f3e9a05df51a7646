"""What a look at a database yields that changes nothing in it, not even its schema."""

from __future__ import annotations

from dataclasses import dataclass, field

from trigger_platform.store.database import Tx
from trigger_platform.store.rows import Count

__all__ = ["Inspection"]


@dataclass(frozen=True, slots=True)
class Inspection:
    """An open database.

    Attributes:
        tx: for reading, on one snapshot.
        now: what the clock of the database says.
        schema: the number of its schema.
        newest: the number this software knows.
        damage: what the database itself finds broken.
    """

    tx: Tx
    now: int
    schema: int
    newest: int
    damage: list[str] = field(default_factory=list)

    def sizes(self) -> tuple[dict[str, int], str]:
        """Return how large the tables are, and in what unit."""
        return {row.name: row.count for row in self.tx.all("table_bytes", Count)}, "bytes"
