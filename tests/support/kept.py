"""What a database holds once the platforms on it are gone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from support import keys
from trigger_core.clock import SystemClock
from trigger_platform.engine import invariants
from trigger_platform.engine.unit import Unit, Units
from trigger_platform.store.opening import open_database
from trigger_platform.store.rows import BatchRow, PayloadRow, RunRow

__all__ = ["Kept", "looking_into"]


@dataclass(frozen=True)
class Kept:
    """Rows as they are."""

    units: Units

    def runs(self) -> list[RunRow]:
        """Every run."""
        return self.units.write_sync(lambda u: u.tx.all("runs_all", RunRow))

    def payloads(self) -> dict[str, str | None]:
        """What each run was triggered with, by its id."""

        def read(u: Unit) -> dict[str, str | None]:
            ids = [run.id for run in u.tx.all("runs_all", RunRow)]
            return {id_: u.tx.one("payload_of", PayloadRow, run_id=id_).data for id_ in ids}

        return self.units.write_sync(read)

    def batch(self, batch_id: str) -> BatchRow:
        """One batch."""
        return self.units.write_sync(lambda u: u.tx.one("batch_any", BatchRow, id=batch_id))

    def violations(self) -> list[str]:
        """What breaks an invariant."""
        return self.units.write_sync(
            lambda u: [
                f"{one.check.name} {one.subject}: {one.what}" for one in invariants.everything(u)
            ]
        )


@contextmanager
def looking_into(address: str) -> Iterator[Kept]:
    """Open a database while in this block."""
    db = open_database(address)
    try:
        yield Kept(Units(db, SystemClock(), random.Random(1), keys.ring()))
    finally:
        db.close()
