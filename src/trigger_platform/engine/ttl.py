"""A run may carry a time to live: if no attempt has started by then, it expires."""

from __future__ import annotations

from trigger_core.duration import describe
from trigger_platform.engine import failure, finish
from trigger_platform.engine.states import RunStatus
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import RunRow

__all__ = ["expire", "is_over"]


def is_over(u: Unit, run: RunRow) -> bool:
    """Tell whether the time to live of a queued run that could be claimed is over."""
    return run.due_at is not None and run.due_at <= u.now


def expire(u: Unit, run: RunRow) -> None:
    """Expire a queued run that never started."""
    life = describe(run.ttl_ms or 0)
    error = failure.plain_error(f"The run expired: no attempt started within {life}.")
    finish.now(u, run, RunStatus.EXPIRED, f"Expired after {life} in the queue", error=error)
