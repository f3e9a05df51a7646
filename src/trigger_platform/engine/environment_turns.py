"""Fair between environments: who gets the next slots of workers that serve several (engine 4.6, W27).

Every run that is handed out costs its environment a step; the larger its concurrency limit, the shorter the
step; the environment that has gone the least far is next. One that had nothing to do cannot save up turns:
it falls behind by no more than the whole of its own limit.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Contender", "after", "share"]

_LAP = 1_000_000
"""How far an environment has gone when as many runs were handed out as its limit is."""


@dataclass(frozen=True, slots=True)
class Contender:
    """An environment with free slots and runs for them.

    Attributes:
        id: which.
        served: how far it has gone.
        weight: its concurrency limit.
        wants: how many runs could be handed out now.
    """

    id: str
    served: int
    weight: int
    wants: int


def share(contenders: Sequence[Contender], limit: int) -> Counter[str]:
    """Return how many of the next ``limit`` runs each environment gets."""
    start = _start(contenders)
    front = [(start[one.id], one.id, one) for one in contenders if one.wants > 0]
    heapq.heapify(front)
    given: Counter[str] = Counter()
    while front and given.total() < limit:
        served, _, one = heapq.heappop(front)
        given[one.id] += 1
        if given[one.id] < one.wants:
            heapq.heappush(front, (served + _step(one), one.id, one))
    return given


def after(contenders: Sequence[Contender], handed_out: Counter[str]) -> dict[str, int]:
    """Return how far those have gone that runs were handed out of."""
    start = _start(contenders)
    return {
        one.id: start[one.id] + handed_out[one.id] * _step(one)
        for one in contenders
        if handed_out[one.id]
    }


def _start(contenders: Sequence[Contender]) -> dict[str, int]:
    furthest = max((one.served for one in contenders if one.wants > 0), default=0)
    return {one.id: max(one.served, furthest - _LAP) for one in contenders}


def _step(one: Contender) -> int:
    return _LAP // max(1, one.weight)
