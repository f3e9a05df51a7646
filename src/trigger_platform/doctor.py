"""What an operator wants to know of a database: is it whole, does it keep its promises, what is overdue."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field
from typing import Literal

from trigger_core.duration import describe
from trigger_platform.engine import invariants
from trigger_platform.engine.unit import Unit, Units
from trigger_platform.store.inspection import Inspection
from trigger_platform.store.opening import inspected, open_database
from trigger_platform.store.rows import Count

__all__ = ["Examination", "Finding", "examine", "repair"]

Area = Literal["schema", "integrity", "invariant", "lease", "worker", "outbox"]

_PATIENCE_MS = 60_000


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    area: Area
    subject: str
    what: str
    is_mendable: bool = False


@dataclass(frozen=True, slots=True)
class Examination:
    """What was looked at and what was found.

    Attributes:
        schema: the number of the database's schema.
        findings: what is not as it should be; nothing when all is well.
        runs: how many there are in each state.
        sizes: how large the tables are, largest first, in ``unit``.
        unit: ``bytes``, or ``rows`` where the database cannot tell bytes.
        oldest_queued_ms: for how long the oldest run that can be claimed has waited.
        outbox: how many events wait to be published.
    """

    schema: int
    findings: list[Finding] = field(default_factory=list)
    runs: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    unit: str = "bytes"
    oldest_queued_ms: int | None = None
    outbox: int = 0


def examine(address: str) -> Examination:
    """Look at a database without changing it; servers may be using it meanwhile.

    Raises:
        StoreError: it cannot be read at all; the subclass says why.
    """
    with inspected(address) as opened:
        findings = [Finding("integrity", address, fault) for fault in opened.damage]
        if opened.schema != opened.newest:
            what = f"its schema is number {opened.schema}, starting the server makes it {opened.newest}"
            return Examination(opened.schema, [*findings, Finding("schema", address, what)])
        u = Unit(opened.tx, opened.now, random.Random(0))  # noqa: S311 - nothing is drawn
        return _examined(u, opened, findings)


def repair(address: str) -> int:
    """Mend what breaks an invariant and can be mended safely; return how much that was.

    Raises:
        StoreError: the database cannot be opened for writing.
    """
    db = open_database(address)
    try:
        units = Units(db, db.clock, random.Random())  # noqa: S311 - ids, no secrets
        broken = asyncio.run(units.read(lambda u: list(invariants.everything(u))))
        mendable = [one for one in broken if one.check.mend is not None]
        return sum(units.write_sync(invariants.mend, one) for one in mendable)
    finally:
        db.close()


def _examined(u: Unit, opened: Inspection, findings: list[Finding]) -> Examination:
    sizes, unit = opened.sizes()
    oldest: int | None = u.tx.scalar("health_oldest_queued")
    return Examination(
        schema=opened.schema,
        findings=[*findings, *_broken(u), *_overdue(u)],
        runs={row.name: row.count for row in u.tx.all("health_runs", Count)},
        sizes=sizes,
        unit=unit,
        oldest_queued_ms=None if oldest is None else max(0, u.now - oldest),
        outbox=u.tx.scalar("health_outbox_count"),
    )


def _broken(u: Unit) -> list[Finding]:
    return [
        Finding(
            "invariant",
            one.subject,
            f"{one.check.name}: {one.what}",
            is_mendable=one.check.mend is not None,
        )
        for one in invariants.everything(u)
        if not one.check.is_advisory
    ]


def _overdue(u: Unit) -> list[Finding]:
    """What a server that runs would have seen to within a minute."""
    before = u.now - _PATIENCE_MS
    found: list[Finding] = []
    leases = u.tx.scalar("health_leases_overdue", before=before)
    if leases:
        found.append(
            Finding("lease", "runs", f"{leases} leases have ended and nobody took them up")
        )
    for worker in u.tx.all("health_dead_workers", Count, before=before):
        if worker.count:
            what = f"it was not heard of for a minute and holds {worker.count} runs"
            found.append(Finding("worker", worker.name, what))
    oldest = u.tx.scalar("health_outbox_oldest")
    if oldest is not None and oldest < before:
        what = f"the oldest event has waited for {describe(u.now - oldest)} to be published"
        found.append(Finding("outbox", "events", what))
    return found
