"""Sending spans of the user's code to the platform, beside everything else a worker says."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator

from trigger_core.api.calls import otlp as calls
from trigger_core.errors import ApiError
from trigger_core.schemas.workers import Assignment
from trigger_worker.channel import Channel
from trigger_worker.ipc import Message

__all__ = ["SpanExport"]

_log = logging.getLogger(__name__)
_AT_ONCE = 500
_HELD = 10_000
_GATHER_S = 0.2


class SpanExport:
    """Collects spans of runs and sends them in batches; when the platform is away for long, the oldest go."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._spans: deque[tuple[str, int, Message]] = deque(maxlen=_HELD)
        self._some = asyncio.Event()

    def add(self, run: Assignment, spans: list[Message]) -> None:
        """Take what an attempt has told."""
        self._spans += [(run.run_id, run.attempt, span) for span in spans]
        self._some.set()

    async def send(self) -> None:
        """Send for ever."""
        while True:
            await self._some.wait()
            await asyncio.sleep(_GATHER_S)
            batch = [self._spans.popleft() for _ in range(min(_AT_ONCE, len(self._spans)))]
            if not self._spans:
                self._some.clear()
            try:
                await self._channel.send(calls.export_traces(list(_by_attempt(batch))))
            except ApiError as error:
                _log.warning("the platform refused %d spans: %s", len(batch), error.what)


def _by_attempt(batch: list[tuple[str, int, Message]]) -> Iterator[Message]:
    """Yield the spans of each attempt under a resource of its own."""
    attempts: dict[tuple[str, int], list[Message]] = {}
    for run_id, attempt, span in batch:
        attempts.setdefault((run_id, attempt), []).append(span)
    for (run_id, attempt), spans in attempts.items():
        resource = [
            {"key": "ctx.run.id", "value": {"stringValue": run_id}},
            {"key": "ctx.attempt.number", "value": {"intValue": str(attempt)}},
        ]
        yield {"resource": {"attributes": resource}, "scopeSpans": [{"spans": spans}]}
