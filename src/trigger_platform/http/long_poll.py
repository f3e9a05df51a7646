"""Asking and waiting: look, wait until there may be more, look again, answer in time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from trigger_platform.http.endpoint import Incoming
from trigger_platform.realtime.hub import WorkWaiter

__all__ = ["until_found"]

T = TypeVar("T")


async def until_found(
    call: Incoming[Any],
    boot_id: str,
    look: Callable[[], Awaitable[T]],
    is_enough: Callable[[T], bool],
    *,
    wait_ms: int,
    wants_work: bool = True,
    everywhere: bool = False,
) -> T:
    """Look for runs and signals of a worker instance until there is something, at most so long.

    It is woken by what happens in the caller's environment, or in any.
    """
    deadline = asyncio.get_running_loop().time() + wait_ms / 1000
    hub, look_every_s = call.server.hub, call.server.units.db.look_every_s
    place = None if everywhere else call.environment_id
    async with hub.waiting(place, boot_id, wants_work=wants_work) as waiter:
        while True:
            waiter.woken.clear()
            found = await look()
            if is_enough(found) or not await _woken(waiter, deadline, look_every_s):
                return found


async def _woken(waiter: WorkWaiter, deadline: float, look_every_s: float) -> bool:
    """Wait until there may be something, or it is time to look; ``False`` when it is time to answer."""
    left = deadline - asyncio.get_running_loop().time()
    if waiter.ended or left <= 0:
        return False
    try:
        async with asyncio.timeout(min(left, look_every_s)):
            await waiter.woken.wait()
    except TimeoutError:
        return look_every_s < left
    return not waiter.ended
