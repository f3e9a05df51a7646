"""Who follows which runs, and telling them: a change is read once and goes to those it concerns alone.

Notices of commits, here and in other processes, name the runs that changed. An idle follower is an entry in
a dictionary; nothing is asked of the database on its behalf, except that now and then one look for all of
them makes good a notice that was lost.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from trigger_platform.engine.unit import Units
from trigger_platform.reads import realtime as reads
from trigger_platform.realtime.feed import OVERLAP_MS, Feed, Offset, Shape, digest
from trigger_platform.realtime.feed import fingerprint as fingerprint_of
from trigger_platform.realtime.shape import Change, Gone, LiveRun, Told, View
from trigger_platform.store.notice import Notice
from trigger_platform.store.rows import RunRow

__all__ = ["Answer", "Feeds"]

_log = logging.getLogger(__name__)
_LOOK_EVERY_S = 15.0
_LINGER_S = 60.0
_MOST_KEPT = 20_000
_SHORT_LINGER_S = 2.0
"""Whoever is gone is kept for a minute, when there are many for two seconds: they can go on without."""

_AT_ONCE = 500
_PAGE = 200
_MOST_AT_ONCE = 10_000
_PAUSE_AFTER_ERROR_S = 1.0

_Key = tuple[str, str, str]
"""Environment, kind of shape, and the first of its names."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client is told; ``offset`` is where it goes on."""

    handle: str
    offset: str
    told: Sequence[Told]
    is_up_to_date: bool


class Feeds:
    """The clients that follow runs through this process."""

    def __init__(self, units: Units, *, look_every_s: float = _LOOK_EVERY_S) -> None:
        """Prepare; :meth:`run` has to run for anything to be delivered.

        Args:
            units: the database, and its notices.
            look_every_s: how often to look for what no notice told of.
        """
        self._units = units
        self._look_every_s = look_every_s
        self._feeds: dict[str, Feed] = {}
        self._by_key: defaultdict[_Key, set[Feed]] = defaultdict(set)
        self._in_environment: defaultdict[tuple[str, bool], int] = defaultdict(int)
        self._changed: set[tuple[str, str]] = set()
        self._filled = asyncio.Event()
        self._must_look = False
        self._looked_at = units.clock.now()
        self._closed = False
        self.passed_at: int | None = None
        units.subscribe(self.notice)

    def __len__(self) -> int:
        return len(self._feeds)

    def notice(self, notice: Notice) -> None:
        """A commit: note what concerns somebody."""
        self._changed.update(
            (environment_id, subject)
            for environment_id, subject in notice.changed
            if (environment_id, "run", subject) in self._by_key
            or (environment_id, True) in self._in_environment
        )
        self._must_look |= notice.look and bool(self._feeds)
        if self._changed or self._must_look:
            self._filled.set()

    async def run(self) -> None:
        """Deliver for ever."""
        loop = asyncio.get_running_loop()
        look_at = loop.time() + self._look_every_s
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout_at(look_at):
                    await self._filled.wait()
            self._filled.clear()
            try:
                if self._must_look or loop.time() >= look_at:
                    look_at = loop.time() + self._look_every_s
                    await self.look()
                await self._deliver_noted()
                self.passed_at = self._units.clock.now()
            except Exception:  # noqa: BLE001 - a loop outlives its errors
                _log.exception("telling the followers of runs failed")
                self._must_look = True
                self._filled.set()
                await asyncio.sleep(_PAUSE_AFTER_ERROR_S)

    def close(self) -> None:
        """Let everybody who waits go: the server is ending."""
        self._closed = True
        for feed in self._feeds.values():
            feed.release()

    async def begin(self, shape: Shape, view: View) -> Answer:
        """Answer a client that has nothing yet; a large shape comes in pages."""
        now = self._units.clock.now()
        feed = self._add(Feed(shape, Feed.name(shape, view, now)))
        return await self._page(feed, now, after=shape.oldest)

    async def go_on(
        self, shape: Shape, view: View, handle: str, offset: Offset, hold_s: float
    ) -> Answer | None:
        """Answer a client that comes back, after a wait if nothing is new.

        ``None`` tells a client to begin anew: its handle is of another shape, or it was away for too long.
        """
        opened, shape = _read_handle(handle, shape, view)
        now = self._units.clock.now()
        if opened is None or offset.moment > now + OVERLAP_MS:
            return None
        feed = self._feeds.get(handle) or self._add(Feed(shape, handle))
        feed.last_used = asyncio.get_running_loop().time()
        if offset.moment == 0:
            return await self._page(feed, opened, after=_run_id(offset.digest))
        turn = feed.take_turn()
        changes: Sequence[Change] = ()
        if offset != feed.offset:
            missed = await self._since(feed, offset)
            if missed is None:
                return None
            changes = missed
        return await self._changes(feed, turn, offset, changes, hold_s)

    async def look(self) -> None:
        """Look for changes that no notice told of, once for everybody; forget who is gone."""
        self._must_look = False
        self._drop_idle()
        since, now = self._looked_at - OVERLAP_MS, self._units.clock.now()
        await self._deliver(await self._changed_runs())
        await self._deliver(await self._changed_in_sets(since))
        self._looked_at = now

    async def _changes(
        self, feed: Feed, turn: int, offset: Offset, changes: Sequence[Change], hold_s: float
    ) -> Answer:
        deadline = asyncio.get_running_loop().time() + hold_s
        while True:
            if feed.dirty:
                wanted, feed.dirty = sorted(feed.dirty), set()
                changes = [*changes, *await self._read(feed.shape, wanted)]
            if feed.turn != turn:
                feed.dirty.update(change.id for change in changes)
                return Answer(feed.handle, str(offset), (), is_up_to_date=True)
            fresh = feed.take(changes)
            left = deadline - asyncio.get_running_loop().time()
            if fresh or left <= 0 or self._closed:
                feed.last_used = asyncio.get_running_loop().time()
                after = feed.advance(self._units.clock.now())
                return Answer(feed.handle, str(after), fresh, is_up_to_date=True)
            changes = () if feed.dirty else await feed.wait(left)

    async def _page(self, feed: Feed, opened: int, after: str) -> Answer:
        """Answer with the runs after an id; what changed meanwhile comes after the last page.

        A page that another process gave leaves open what changed before this one was asked.
        """
        run_ids = await self._ids(feed.shape, after)
        is_whole = after in {feed.shape.oldest, feed.page_after}
        told = feed.take(await self._read(feed.shape, run_ids, are_new=True))
        if len(run_ids) == _PAGE:
            feed.page_after = run_ids[-1] if is_whole else None
            return Answer(feed.handle, f"0_{_number(run_ids[-1])}", told, is_up_to_date=False)
        offset = feed.advance(opened) if is_whole else Offset(opened, 0)
        return Answer(feed.handle, str(offset), told, is_up_to_date=is_whole)

    async def _ids(self, shape: Shape, after: str) -> Sequence[str]:
        if shape.kind == "run":
            return shape.names
        read = reads.ids_by_tag if shape.kind == "tags" else reads.ids_by_batch
        return await self._units.read(read, shape.environment_id, shape.names[0], after, _PAGE)

    async def _read(
        self, shape: Shape, run_ids: Sequence[str], *, are_new: bool = False
    ) -> list[Change]:
        """Read runs; those that do not belong to the shape are left out, the only one may be gone."""
        found = await self._units.read(reads.whole, run_ids)
        runs: list[Change] = [live for live in found if shape.has(live.run, _tags(live.run))]
        if shape.kind == "run" and not found and not are_new:
            return [Gone(run_id) for run_id in run_ids]
        return runs

    async def _since(self, feed: Feed, offset: Offset) -> Sequence[Change] | None:
        """Return what a client may have missed; ``None`` when it is too much to say."""
        feed.forget()
        shape = feed.shape
        if shape.kind == "run":
            found = await self._units.read(reads.versions, shape.names)
        else:
            names = {"tags" if shape.kind == "tags" else "batches": shape.names[:1]}
            found = await self._units.read(
                reads.versions_since,
                shape.environment_id,
                oldest=shape.oldest,
                since=offset.moment - OVERLAP_MS,
                **names,
            )
        if len(found) >= _MOST_AT_ONCE:
            return None
        changes = await self._read(shape, [row.id for row in found] or _only(shape))
        versions = [(change.id, change.version) for change in changes]
        if digest(versions) == offset.digest:
            feed.take(changes)
            return ()
        return changes

    async def _deliver_noted(self) -> None:
        noted, self._changed = self._changed, set()
        await self._deliver(noted)

    async def _deliver(self, changed: Iterable[tuple[str, str]]) -> None:
        for some in _slices(sorted(changed)):
            run_ids = [run_id for _, run_id in some]
            runs = {run.id: run for run in await self._units.read(reads.runs, run_ids)}
            concerned: defaultdict[Feed, list[str]] = defaultdict(list)
            for run in runs.values():
                for feed in self._followers(run):
                    if not feed.knows(run.id, run.sequence + run.metadata_version):
                        concerned[feed].append(run.id)
            await self._hand_out(concerned)
            for environment_id, run_id in some:
                if run_id not in runs:
                    for feed in tuple(self._by_key.get((environment_id, "run", run_id), ())):
                        feed.offer([Gone(run_id)])

    async def _hand_out(self, concerned: dict[Feed, list[str]]) -> None:
        """Read what somebody waits for; who is on the way reads it when asking again."""
        wanted = {
            run_id
            for feed, run_ids in concerned.items()
            if feed.is_waited_for
            for run_id in run_ids
        }
        whole = {live.id: live for live in await self._units.read(reads.whole, sorted(wanted))}
        for feed, run_ids in concerned.items():
            changes: list[LiveRun] = [whole[run_id] for run_id in run_ids if run_id in whole]
            feed.dirty.update(run_id for run_id in run_ids if run_id not in whole)
            if changes:
                feed.offer(changes)
            elif feed.dirty:
                feed.release()

    def _followers(self, run: RunRow) -> set[Feed]:
        environment_id, tags = run.environment_id, _tags(run)
        keys: list[_Key] = [(environment_id, "run", run.id)]
        keys += [(environment_id, "tags", tag) for tag in tags]
        if run.batch_id is not None:
            keys.append((environment_id, "batch", run.batch_id))
        found = {feed for key in keys for feed in self._by_key.get(key, ())}
        return {feed for feed in found if feed.shape.has(run, tags)}

    async def _changed_runs(self) -> list[tuple[str, str]]:
        """Return the followed runs that have a version nobody sent, and those that are gone."""
        followed = {(key[0], key[2]): key for key in self._by_key if key[1] == "run"}
        changed: list[tuple[str, str]] = []
        for some in _slices(sorted(followed)):
            rows = await self._units.read(reads.versions, [run_id for _, run_id in some])
            found = {row.id: row for row in rows}
            for environment_id, run_id in some:
                row = found.get(run_id)
                version = Gone(run_id).version if row is None else row.version
                feeds = self._by_key.get(followed[environment_id, run_id], ())
                if not all(feed.knows(run_id, version) for feed in feeds):
                    changed.append((environment_id, run_id))
        return changed

    async def _changed_in_sets(self, since: int) -> set[tuple[str, str]]:
        """Return the runs of followed tags and batches that changed since a moment."""
        names: defaultdict[str, defaultdict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
        for environment_id, kind, name in self._by_key:
            if kind != "run":
                names[environment_id][kind].add(name)
        changed: set[tuple[str, str]] = set()
        for environment_id, kinds in names.items():
            rows = await self._units.read(
                reads.versions_since,
                environment_id,
                tags=kinds["tags"],
                batches=kinds["batch"],
                since=since,
            )
            changed |= {(row.environment_id, row.id) for row in rows}
        return changed

    def _add(self, feed: Feed) -> Feed:
        if len(self._feeds) >= _MOST_KEPT:
            self._drop_idle(_SHORT_LINGER_S)
        feed.last_used = asyncio.get_running_loop().time()
        self._feeds[feed.handle] = feed
        self._by_key[_key(feed.shape)].add(feed)
        self._in_environment[feed.shape.environment_id, feed.shape.kind != "run"] += 1
        return feed

    def _drop_idle(self, linger_s: float = _LINGER_S) -> None:
        before = asyncio.get_running_loop().time() - linger_s
        idle = [
            feed
            for feed in self._feeds.values()
            if feed.last_used <= before and not feed.is_waited_for
        ]
        for feed in idle:
            self._drop(feed)

    def _drop(self, feed: Feed) -> None:
        del self._feeds[feed.handle]
        key = _key(feed.shape)
        self._by_key[key].discard(feed)
        if not self._by_key[key]:
            del self._by_key[key]
        place = (feed.shape.environment_id, feed.shape.kind != "run")
        self._in_environment[place] -= 1
        if not self._in_environment[place]:
            del self._in_environment[place]


def _slices(changes: list[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    for start in range(0, len(changes), _AT_ONCE):
        yield changes[start : start + _AT_ONCE]


def _key(shape: Shape) -> _Key:
    return (shape.environment_id, shape.kind, shape.names[0])


def _only(shape: Shape) -> Sequence[str]:
    return shape.names if shape.kind == "run" else ()


def _tags(run: RunRow) -> frozenset[str]:
    return frozenset(json.loads(run.tags)) if run.tags else frozenset()


def _read_handle(handle: str, shape: Shape, view: View) -> tuple[int | None, Shape]:
    """Return when a handle was opened, and its shape; nothing if it is none, or of another shape."""
    opened, _, rest = handle.partition("-")
    since, _, rest = rest.partition("-")
    fingerprint, _, _ = rest.partition("-")
    if not opened.isdecimal() or not since.isdecimal():
        return None, shape
    same = fingerprint == fingerprint_of(shape, view)
    return (int(opened) if same else None), replace(shape, since=int(since))


def _number(run_id: str) -> int:
    return int.from_bytes(run_id.encode())


def _run_id(number: int) -> str:
    return number.to_bytes((number.bit_length() + 7) // 8).decode("ascii", "replace")
