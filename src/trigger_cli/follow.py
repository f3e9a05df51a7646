"""Following a run live: the platform's events, read until the run is over."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx

from trigger_core.api.calls import runs as calls
from trigger_core.api.client import Client
from trigger_core.errors import PollTimeoutError
from trigger_core.schemas.runs import LogRecord, RunDetail

__all__ = ["follow"]


def follow(client: Client, run_id: str, timeout_s: float) -> Iterator[RunDetail | LogRecord]:
    """Yield a run each time it changes, and the lines it writes, in order; the last one yielded is final.

    Raises:
        PollTimeoutError: it is not over in time.
    """
    deadline = time.monotonic() + timeout_s
    after = 0
    while True:
        try:
            for item in client.stream(calls.follow(run_id, after=after), _read):
                if isinstance(item, LogRecord):
                    after = item.id
                yield item
                if isinstance(item, RunDetail) and item.is_completed:
                    return
                _check(deadline, run_id)
        except httpx.TransportError:
            _check(deadline, run_id)  # the platform restarts: go on after the last line


def _read(event: str, data: str) -> RunDetail | LogRecord:
    model = LogRecord if event == "log" else RunDetail
    return model.model_validate(json.loads(data))


def _check(deadline: float, run_id: str) -> None:
    if time.monotonic() > deadline:
        raise PollTimeoutError(
            f"run {run_id} is not over yet", hint=f"ask why: trigger runs why {run_id}"
        )
