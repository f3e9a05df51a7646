"""Following runs and streams over broken connections: what to ask next is decided apart from asking.

A refusal ends it; anything else is tried again, for as long as the caller listens.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx

from trigger_core.api.call import Answer, Call
from trigger_core.api.client import AsyncClient, Client
from trigger_core.api.events import Event
from trigger_core.api.shape import ELECTRIC_HEADERS, ShapeReader
from trigger_core.errors import TriggerError

__all__ = ["rows", "rows_sync", "stream", "stream_sync"]

_HELD_S = 60.0
"""A request that waits for changes is answered after twenty seconds; a slow way may take longer."""

_SILENT_S = 45.0
"""A stream that says nothing, not even a comment, for this long is broken."""

_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0


async def rows(
    client: AsyncClient, path: str, params: Mapping[str, str]
) -> AsyncIterator[dict[str, Any]]:
    """Yield rows of a feed, those that are there and every change, for ever.

    Raises:
        ApiError: the platform refused.
    """
    reader, failures = ShapeReader(), 0
    while True:
        try:
            answer = await client.send(_ask(reader, path, params))
        except TriggerError as error:
            if not error.retryable:
                raise
            failures += 1
            await asyncio.sleep(_pause(failures))
            continue
        failures = 0
        for row in reader.read(answer.status, answer.headers, answer.body):
            yield row


def rows_sync(client: Client, path: str, params: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield rows likewise, blocking."""
    reader, failures = ShapeReader(), 0
    while True:
        try:
            answer = client.send(_ask(reader, path, params))
        except TriggerError as error:
            if not error.retryable:
                raise
            failures += 1
            time.sleep(_pause(failures))
            continue
        failures = 0
        yield from reader.read(answer.status, answer.headers, answer.body)


async def stream(
    client: AsyncClient, path: str, after: str | None, idle_s: int
) -> AsyncIterator[Event]:
    """Yield events of a stream after one of them until the platform ends it.

    Raises:
        ApiError: the platform refused.
    """
    failures = 0
    while True:
        try:
            async for event in client.events(_listen(path, after, idle_s)):
                after, failures = event.id or after, 0
                yield event
        except (TriggerError, httpx.TransportError) as error:
            failures = _tried(error, failures)
            await asyncio.sleep(_pause(failures))
        else:
            return


def stream_sync(client: Client, path: str, after: str | None, idle_s: int) -> Iterator[Event]:
    """Yield events likewise, blocking."""
    failures = 0
    while True:
        try:
            for event in client.events(_listen(path, after, idle_s)):
                after, failures = event.id or after, 0
                yield event
        except (TriggerError, httpx.TransportError) as error:
            failures = _tried(error, failures)
            time.sleep(_pause(failures))
        else:
            return


def _ask(reader: ShapeReader, path: str, params: Mapping[str, str]) -> Call[Answer]:
    return Call(
        "GET",
        path,
        lambda answer: answer,
        params={**params, **reader.params()},
        headers=ELECTRIC_HEADERS,
        accepts=frozenset({409}),
        timeout_s=_HELD_S,
    )


def _listen(path: str, after: str | None, idle_s: int) -> Call[None]:
    headers = {"accept": "text/event-stream", "timeout-seconds": str(idle_s)}
    if after is not None:
        headers["last-event-id"] = after
    return Call("GET", path, lambda _: None, headers=headers, timeout_s=_SILENT_S)


def _tried(error: Exception, failures: int) -> int:
    """Count a failure that may pass; raise one that will not."""
    if isinstance(error, TriggerError) and not error.retryable:
        raise error
    return failures + 1


def _pause(failures: int) -> float:
    return float(min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(failures, 10)))
