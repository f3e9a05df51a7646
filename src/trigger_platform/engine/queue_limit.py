"""What limits a queue: what its code declares, unless an operator says otherwise (engine 4.9)."""

from __future__ import annotations

import math
from dataclasses import replace

from trigger_platform.store.rows import QueueRow

__all__ = ["settled"]


def settled(queue: QueueRow, environment_limit: int) -> QueueRow:
    """Return the queue with the limit that counts, given the environment's limit.

    An absolute override counts as it is. One in percent follows the environment: rounded down, at least one,
    at most all. What the code declares is kept between nothing and the environment's limit.
    """
    return replace(queue, concurrency_limit=_limit(queue, environment_limit))


def _limit(queue: QueueRow, environment_limit: int) -> int | None:
    if queue.override_percent is not None:
        share = math.floor(environment_limit * queue.override_percent / 100)
        return max(1, min(share, environment_limit))
    if queue.overridden_at is not None:
        return queue.override_limit
    if queue.base_limit is None:
        return None
    return max(0, min(queue.base_limit, environment_limit))
