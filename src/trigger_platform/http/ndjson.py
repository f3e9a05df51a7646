"""Reading a body line by line: each line is a JSON value, none is kept longer than needed (protocol A.3)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

__all__ = ["Line", "groups", "lines"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line; one over the limit keeps only its beginning, and says how long it was."""

    content: bytes
    size: int
    is_whole: bool


async def lines(body: AsyncIterator[bytes], limit: int) -> AsyncIterator[Line]:
    """Yield the lines of a body that are not blank; memory stays within one line and one chunk."""
    async for some in groups(body, limit):
        for line in some:
            yield line


async def groups(body: AsyncIterator[bytes], limit: int) -> AsyncIterator[list[Line]]:
    """Yield likewise, but together what arrived together."""
    begun = bytearray()
    size = 0
    async for chunk in body:
        ended: list[Line] = []
        parts = chunk.split(b"\n")
        for number, part in enumerate(parts):
            if number > 0:
                if begun.strip():
                    ended.append(Line(bytes(begun), size, is_whole=size <= limit))
                begun.clear()
                size = 0
            size += len(part)
            begun += part[: max(0, limit - len(begun))]
        if ended:
            yield ended
    if begun.strip():
        yield [Line(bytes(begun), size, is_whole=size <= limit)]
