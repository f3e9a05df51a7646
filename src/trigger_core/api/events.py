"""Server-sent events, read line by line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

__all__ = ["Event", "EventReader", "events", "events_sync"]


@dataclass(frozen=True, slots=True)
class Event:
    """One event; ``id`` is where a reader goes on after a broken connection."""

    name: str
    data: str
    id: str | None


@dataclass(slots=True)
class EventReader:
    """Puts lines together to events; comments keep a connection open and say nothing."""

    _name: str = "message"
    _id: str | None = None
    _data: list[str] = field(default_factory=list)

    def take(self, line: str) -> Event | None:
        """Take a line; return the event that it ends."""
        if not line:
            return self._end()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._name = value
        elif name == "id":
            self._id = value
        return None

    def _end(self) -> Event | None:
        ended = Event(self._name, "\n".join(self._data), self._id) if self._data else None
        self._name, self._data = "message", []
        return ended


async def events(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    """Yield the events of a body."""
    reader = EventReader()
    async for line in lines:
        if (event := reader.take(line)) is not None:
            yield event


def events_sync(lines: Iterator[str]) -> Iterator[Event]:
    """Yield likewise, blocking."""
    reader = EventReader()
    for line in lines:
        if (event := reader.take(line)) is not None:
            yield event
