"""Which runs of some pools are claimed next: what stands at the front, read without reading the queue.

Three ways, each only when the one before does not settle it. The next runs by position are taken as they are
when all of them fit and their queues know no concurrency keys. With keys, the front says how many turns each
queue has, and its keys take them in rotation. When something full stands at the front, the queues behind it
are looked up by leaping from one to the next. The cost grows with the queues and keys looked at, never with
the runs that wait.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from trigger_platform.engine import concurrency, queue_turns
from trigger_platform.engine.concurrency import Room
from trigger_platform.engine.queue_turns import Line, Turn
from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, RunRow

__all__ = ["next_runs"]


@dataclass(frozen=True, slots=True)
class _Name:
    name: str


@dataclass(frozen=True, slots=True)
class _QueueHead:
    queue: str
    head: int


@dataclass(frozen=True, slots=True)
class _KeyHead:
    key: str
    head: int


@dataclass(frozen=True, slots=True)
class _Place:
    key: str
    position: int


def next_runs(
    u: Unit, environment: EnvironmentRow, pools: str, free: Room, limit: int
) -> list[RunRow]:
    """Return the next runs of pools that fit, up to ``limit``; each one's slot is taken from ``free``."""
    limit = min(limit, free.environment)
    if limit <= 0:
        return []
    front = u.tx.all("runs_claimable", RunRow, pools=pools, limit=limit)
    if not front:
        return []
    look = _Look(u, environment, pools, free, limit)
    look.know({run.queue for run in front})
    fit = look.fit(front)
    if fit == len(front) and not look.keyed:
        return [run for run in front if free.take(run)]
    if fit == limit or len(front) < limit:
        lines = look.lines_of_front(front, Counter(run.queue for run in front))
    else:
        lines = look.lines_of_front(front, dict.fromkeys(free.queues, limit))
        lines += look.lines_behind(lines)
    return look.runs(queue_turns.turns(lines, limit), front)


@dataclass(slots=True)
class _Look:
    """One look at pools of an environment: what has been read of them so far."""

    u: Unit
    environment: EnvironmentRow
    pools: str
    free: Room
    limit: int
    keyed: frozenset[str] = frozenset()
    holding: Counter[str] = field(init=False)

    def __post_init__(self) -> None:
        """Count the keys that hold slots, by queue."""
        self.holding = Counter(queue for queue, _ in self.free.held)

    def know(self, queues: Iterable[str]) -> None:
        """Read the limits of queues, and which of them have runs with concurrency keys."""
        names = list(queues)
        concurrency.know(self.u, self.environment, self.free, names)
        found = self.u.tx.all("queues_with_keys", _Name, pools=self.pools, names=json.dumps(names))
        self.keyed |= {row.name for row in found}

    def fit(self, front: Sequence[RunRow]) -> int:
        """Return how many runs of the front have a slot."""
        wanted = Counter((run.queue, run.concurrency_key) for run in front)
        return sum(max(0, min(count, self.room(*line))) for line, count in wanted.items())

    def room(self, queue: str, key: str) -> int:
        """Return how many runs of a line could start now."""
        return 0 if self.free.is_paused(queue) else self.free.of_line(queue, key)

    def lines_of_front(self, front: Sequence[RunRow], turns: Mapping[str, int]) -> list[Line]:
        """Return the lines of the queues at the front, each long enough for so many turns of its queue."""
        seen: dict[str, dict[str, list[int]]] = {}
        for run in front:
            keys = seen.setdefault(run.queue, {})
            keys.setdefault(run.concurrency_key, []).append(run.position)
        return [
            line for queue, keys in seen.items() for line in self._lines(queue, keys, turns[queue])
        ]

    def lines_behind(self, known: Sequence[Line]) -> list[Line]:
        """Return lines of other queues, oldest first, until there are enough runs."""
        enough = self.limit - sum(len(line.positions) for line in known)
        heads = self.u.tx.all("queues_waiting", _QueueHead, pools=self.pools)
        others = [row.queue for row in heads if row.queue not in self.free.queues]
        lines: list[Line] = []
        for start in range(0, len(others), self.limit):
            part = others[start : start + self.limit]
            self.know(part)
            for queue in part:
                lines += self._lines(queue, {}, self.limit)
            if sum(len(line.positions) for line in lines) >= enough:
                break
        return lines

    def _lines(self, queue: str, seen: dict[str, list[int]], turns: int) -> list[Line]:
        """Return the lines of a queue that have room; the one that waited longest for a turn is first."""
        if self.free.is_paused(queue) or self.free.cap(queue) <= 0:
            return []
        if queue not in self.keyed:
            return list(self._deepened(queue, seen or {"": []}, turns))
        heads: dict[str, list[int]] = {}
        for key, known in self._rotation(queue, turns):
            heads.setdefault(key, known)
        for key, positions in seen.items():
            heads[key] = positions if len(positions) > 1 else heads.get(key) or positions
        fresh = sum(1 for key, known in heads.items() if known and self._is_fresh(queue, key))
        return list(self._deepened(queue, heads, 1 if fresh >= turns else turns))

    def _is_fresh(self, queue: str, key: str) -> bool:
        """Tell whether a line holds no slot yet."""
        return not self.free.held.get((queue, key))

    def _rotation(self, queue: str, turns: int) -> Iterator[tuple[str, list[int]]]:
        """Go through keys with their heads, from behind the one that was served last.

        Enough of them that those without a slot can take every turn: more would change nothing. Runs without
        a key have their turn too; where they stand has not been read.
        """
        row = self.free.queues.get(queue)
        last = row.last_key if row is not None else ""
        wanted = turns + self.holding[queue]
        found = self._keys_after(queue, last, wanted)
        yield from ((row.key, [row.head]) for row in found)
        if len(found) == wanted:
            return
        yield "", []
        again = self._keys_after(queue, "", wanted - len(found)) if last else []
        yield from ((row.key, [row.head]) for row in again)

    def _keys_after(self, queue: str, after: str, limit: int) -> list[_KeyHead]:
        return self.u.tx.all(
            "keys_waiting", _KeyHead, pools=self.pools, queue=queue, after=after, limit=limit
        )

    def _deepened(self, queue: str, heads: dict[str, list[int]], depth: int) -> Iterator[Line]:
        left = {key: max(0, min(self.room(queue, key), self.limit)) for key in heads}
        short = [key for key, known in heads.items() if len(known) < min(left[key], depth)]
        deeper = self._places(queue, short, depth) if short else {}
        for key, known in heads.items():
            positions = deeper.get(key, known)[: left[key]]
            yield Line(queue, key, self.free.held.get((queue, key), 0), positions)

    def _places(self, queue: str, keys: Sequence[str], limit: int) -> dict[str, list[int]]:
        """Return where the first runs of keys of a queue stand, ascending."""
        names = json.dumps(list(keys))
        found = self.u.tx.all(
            "positions_waiting", _Place, pools=self.pools, queue=queue, keys=names, limit=limit
        )
        places: dict[str, list[int]] = {}
        for row in found:
            places.setdefault(row.key, []).append(row.position)
        return {key: ascending[:limit] for key, ascending in places.items()}

    def runs(self, given: Sequence[Turn], front: Sequence[RunRow]) -> list[RunRow]:
        """Read the runs that got a turn, and note which key of each queue was the last."""
        lines = {
            line: iter(self._first_runs(line, count, front))
            for line, count in Counter(given).items()
        }
        chosen = [run for turn in given for run in [next(lines[turn], None)] if run is not None]
        last = {turn.queue: turn.key for turn in given if turn.queue in self.keyed}
        self.u.tx.many(
            "queue_served",
            [
                {"environment_id": self.environment.id, "name": name, "key": key}
                for name, key in last.items()
            ],
        )
        return [run for run in chosen if self.free.take(run)]

    def _first_runs(self, line: Turn, count: int, front: Sequence[RunRow]) -> list[RunRow]:
        known = [run for run in front if (run.queue, run.concurrency_key) == (line.queue, line.key)]
        if len(known) >= count:
            return known[:count]
        return self.u.tx.all(
            "runs_claimable_of_queue",
            RunRow,
            pools=self.pools,
            queue=line.queue,
            concurrency_key=line.key,
            limit=count,
        )
