"""What stands in the database at a moment: how much waits, how much is under way, who is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trigger_platform.engine.execution_snapshot import LEASE_MS
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import Count

__all__ = ["MOST", "Gauges", "read"]

MOST = 100_000
"""No count goes further."""


@dataclass(frozen=True, slots=True)
class Gauges:
    """Counts up to :data:`MOST`.

    Attributes:
        runs: runs that have not ended, by what they do; delayed ones and retry pauses are not counted.
        oldest_queued_ms: for how long the run waits that is first in line.
        outbox: events that wait to be published.
        workers: worker instances that were heard of lately.
    """

    runs: Mapping[str, int]
    oldest_queued_ms: int
    outbox: int
    workers: int


def read(u: Unit) -> Gauges:
    """Count."""
    oldest: int | None = u.tx.scalar("gauge_oldest_queued")
    runs = {
        "QUEUED": u.tx.scalar("gauge_queued", most=MOST),
        "QUEUED_EXECUTING": u.tx.scalar("gauge_resuming", most=MOST),
        "PENDING_VERSION": u.tx.scalar("gauge_pending_version", most=MOST),
    }
    for row in u.tx.all("gauge_leased", Count, most=MOST):
        runs.setdefault(row.name, row.count)
    return Gauges(
        runs=runs,
        oldest_queued_ms=0 if oldest is None else max(0, u.now - oldest),
        outbox=u.tx.scalar("gauge_outbox", most=MOST),
        workers=u.tx.scalar("gauge_workers", since=u.now - LEASE_MS),
    )
