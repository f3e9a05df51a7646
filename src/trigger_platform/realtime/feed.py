"""One client's view of a shape: what it has been sent, and what it has yet to be sent (protocol C.1).

The client brings its handle and its offset with every request. Both say all there is to know, so that any
process can go on where another stopped: the handle names the shape, the offset a moment and a digest of what
had been sent of the time just before it. What is kept here only spares the database a question.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from trigger_core import ids
from trigger_platform.realtime.shape import Change, LiveRun, Told, View
from trigger_platform.store.rows import RunRow

__all__ = ["OVERLAP_MS", "Feed", "Offset", "Shape", "digest"]

OVERLAP_MS = 15_000
"""A change may be committed, and heard of, this much later than the moment it bears."""

_REMEMBER_MS = 60_000
_SMALL = 64
_DIGEST_BITS = 52
_LONGEST = 128


@dataclass(frozen=True, slots=True)
class Shape:
    """Which runs: one, those of a batch, or those that have all of some tags and are new enough."""

    environment_id: str
    kind: Literal["run", "tags", "batch"]
    names: tuple[str, ...]
    since: int = 0

    @property
    def oldest(self) -> str:
        """A text that sorts before the ids of its runs."""
        return ids.before_runs_of(self.since) if self.since else ""

    def has(self, run: RunRow, tags: frozenset[str]) -> bool:
        """Tell whether a run belongs to it."""
        if self.environment_id != run.environment_id or run.id < self.oldest:
            return False
        if self.kind == "run":
            return run.id == self.names[0]
        if self.kind == "batch":
            return run.batch_id == self.names[0]
        return tags.issuperset(self.names)


@dataclass(frozen=True, slots=True)
class Offset:
    """Where a client is.

    Attributes:
        moment: what changed long enough before it has been sent.
        digest: of what has been sent of the time just before it.
    """

    moment: int
    digest: int

    @staticmethod
    def parse(text: str) -> Offset | None:
        """Return an offset, or ``None`` if the text is none."""
        moment, _, rest = text.partition("_")
        if len(text) > _LONGEST or not moment.isdecimal() or not rest.isdecimal():
            return None
        return Offset(int(moment), int(rest))

    def __str__(self) -> str:
        return f"{self.moment}_{self.digest}"


def digest(versions: Iterable[tuple[str, int]]) -> int:
    """Return a number that stands for a set of runs and their versions."""
    total = 0
    for run_id, version in versions:
        hashed = hashlib.blake2b(f"{run_id} {version}".encode(), digest_size=8).digest()
        total += int.from_bytes(hashed)
    return total % (1 << _DIGEST_BITS)


@dataclass(frozen=True, slots=True)
class _Sent:
    version: int
    updated_at: int


@dataclass(eq=False, slots=True)
class Feed:
    """What is known of a client that comes back."""

    shape: Shape
    handle: str
    offset: Offset = Offset(0, 0)
    dirty: set[str] = field(default_factory=set)
    last_used: float = 0.0
    turn: int = 0
    page_after: str | None = None
    _sent: dict[str, _Sent] = field(default_factory=dict)
    _waiting: asyncio.Future[Sequence[Change]] | None = None

    @staticmethod
    def name(shape: Shape, view: View, opened: int) -> str:
        """Return a new handle: when it was opened, since when runs count, and which shape it is of."""
        return f"{opened}-{shape.since}-{fingerprint(shape, view)}-{secrets.token_hex(4)}"

    @property
    def is_waited_for(self) -> bool:
        """Whether a request waits for a change."""
        return self._waiting is not None and not self._waiting.done()

    def knows(self, run_id: str, version: int) -> bool:
        """Tell whether a version of a run was sent, or a later one."""
        sent = self._sent.get(run_id)
        return sent is not None and sent.version >= version

    def offer(self, changes: Sequence[Change]) -> None:
        """Hand changes to the request that waits; without one they are read again later."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(changes)
        else:
            self.dirty.update(change.id for change in changes)

    def release(self) -> None:
        """Let the request that waits go."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(())

    def take_turn(self) -> int:
        """Begin a request; one that still waits, perhaps for nobody, ends with nothing."""
        self.turn += 1
        self.release()
        return self.turn

    async def wait(self, seconds: float) -> Sequence[Change]:
        """Wait for changes."""
        mine: asyncio.Future[Sequence[Change]] = asyncio.get_running_loop().create_future()
        self._waiting = mine
        try:
            async with asyncio.timeout(seconds):
                return await mine
        except TimeoutError:
            return ()
        finally:
            if self._waiting is mine:
                self._waiting = None

    def forget(self) -> None:
        """The client is not where it was thought to be."""
        self._sent.clear()

    def take(self, changes: Iterable[Change]) -> list[Told]:
        """Return what is new to the client, and remember it as sent."""
        told: list[Told] = []
        for change in changes:
            if self.knows(change.id, change.version):
                continue
            told.append(Told(change, "update" if change.id in self._sent else "insert"))
            at = change.run.updated_at if isinstance(change, LiveRun) else 0
            self._sent[change.id] = _Sent(change.version, at)
        return told

    def advance(self, now: int) -> Offset:
        """Return the offset of an answer that is complete up to now."""
        recent = (
            (run_id, sent.version)
            for run_id, sent in self._sent.items()
            if self.shape.kind == "run" or sent.updated_at >= now - OVERLAP_MS
        )
        self.offset = Offset(now, digest(recent))
        if len(self._sent) > _SMALL:
            self._sent = {
                run_id: sent
                for run_id, sent in self._sent.items()
                if sent.updated_at >= now - _REMEMBER_MS
            }
        return self.offset


def fingerprint(shape: Shape, view: View) -> str:
    """Return what tells one shape and view from another."""
    text = "\0".join([shape.environment_id, shape.kind, *shape.names, view.fingerprint])
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
