"""The lines a run writes, as its worker reports them.

A report whose answer was lost comes again: a line has a number under the lease of its attempt, and is written
once. A time that cannot be read, or that lies far ahead, becomes the server's: a report is never refused for
it, since the ends of runs travel with it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from trigger_core import clock
from trigger_core.schemas.workers import LogLine
from trigger_platform.engine import run_attempt
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import LogRow

__all__ = ["moment", "write"]

_AHEAD_MS = 3_600_000
"""How far a worker's clock may be ahead; lines of the future would outlive their time."""


def write(u: Unit, environment_id: str, lines: Sequence[LogLine]) -> None:
    """Write lines of an environment's runs; what names no run of it is left out."""
    runs = run_attempt.runs_by_id(u, environment_id, [line.run_id for line in lines])
    for run_id in runs:
        u.emit(environment_id, "run.logged", run_id, 0)
    u.record("log_insert", [_row(u, line) for line in lines if line.run_id in runs])


def moment(u: Unit, ms: int) -> int:
    """Return a moment that somebody else's clock told, or the present one if that cannot be."""
    return ms if 0 <= ms <= u.now + _AHEAD_MS else u.now


def _row(u: Unit, line: LogLine) -> LogRow:
    record = line.record
    return LogRow(
        run_id=line.run_id,
        attempt=record.attempt,
        time=_time(u, record.time),
        level=record.level,
        source=record.source,
        message=record.message,
        attributes=json.dumps(record.attributes) if record.attributes else None,
        span_id=record.span_id,
        lease=line.lease,
        number=line.number,
    )


def _time(u: Unit, text: str) -> int:
    try:
        return moment(u, clock.from_iso(text))
    except (ValueError, OverflowError):
        return u.now
