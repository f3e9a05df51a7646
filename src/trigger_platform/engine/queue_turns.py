"""Whose turn it is, decided without a database: queues by position, keys in turn (engine 4.6, W27).

A queue has its turns at the positions of its runs, in order, so queues compete by position alone. Who gets a
turn of the queue is another matter: the concurrency key that holds the fewest slots, and among equals the one
that was served longest ago. So a key with ten thousand runs takes no turn from a key with one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

__all__ = ["Line", "Turn", "turns"]


@dataclass(frozen=True, slots=True)
class Line:
    """The runs of one queue and concurrency key that could be claimed now.

    Attributes:
        queue, key: which; a run without a key stands in the line ``""``.
        held: how many slots the line holds already.
        positions: where its first runs stand, ascending; not more of them than the line has room for.
    """

    queue: str
    key: str
    held: int
    positions: Sequence[int]


@dataclass(frozen=True, slots=True)
class Turn:
    """The next run of this line is claimed."""

    queue: str
    key: str


def turns(lines: Iterable[Line], limit: int) -> list[Turn]:
    """Return who gets the next ``limit`` turns, in order.

    The lines of a queue come in the order of their last service: the one that waited longest first.
    """
    queues: dict[str, _Queue] = {}
    for line in lines:
        if line.positions:
            queues.setdefault(line.queue, _Queue()).join(line)
    front = [(queue.open(), number, queue) for number, queue in enumerate(queues.values())]
    heapq.heapify(front)
    given: list[Turn] = []
    while front and len(given) < limit:
        _, number, queue = heapq.heappop(front)
        given.append(queue.serve())
        if queue.places:
            heapq.heappush(front, (queue.places[0], number, queue))
    return given


@dataclass(order=True, slots=True)
class _Waiting:
    """A line as its queue ranks it: fewest slots first, then the longest unserved."""

    held: int
    since: int
    left: int = field(compare=False)
    line: Line = field(compare=False)


@dataclass(slots=True)
class _Queue:
    """The lines of one queue, and the positions at which it has a turn."""

    lines: list[_Waiting] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    served: int = 0

    def join(self, line: Line) -> None:
        """Add a line."""
        self.lines.append(_Waiting(line.held, len(self.lines), len(line.positions), line))
        self.places.extend(line.positions)

    def open(self) -> int:
        """Put everything in order; return where the first turn is. A sorted list is a heap."""
        self.served = len(self.lines)
        self.places.sort()
        self.lines.sort()
        return self.places[0]

    def serve(self) -> Turn:
        """Use up a turn."""
        heapq.heappop(self.places)
        first = heapq.heappop(self.lines)
        if first.left > 1:
            self.served += 1
            again = _Waiting(first.held + 1, self.served, first.left - 1, first.line)
            heapq.heappush(self.lines, again)
        return Turn(first.line.queue, first.line.key)
