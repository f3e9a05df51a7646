"""The timers, and a clock that is set."""

from __future__ import annotations

import asyncio

import pytest

from support.engine import open_engine, task
from trigger_platform.engine.unit import Unit
from trigger_platform.loops.timers import Timers
from trigger_platform.store.rows import RunRow

HOUR = 3_600_000


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
async def test_a_clock_that_is_set_gives_every_lease_its_length(jump: int) -> None:
    """No run is lost because it jumped ahead, and none is kept for an hour because it fell back."""
    engine = open_engine()
    engine.register(task())
    run_id = engine.trigger()
    assert len(engine.claim()) == 1
    timers = Timers(engine.units)
    engine.clock.advance(jump)
    loop = asyncio.create_task(timers.run())
    async with asyncio.timeout(5):
        while await engine.units.read(_due_at, run_id) != engine.clock.now() + 30_000:
            pass
    loop.cancel()
    await asyncio.gather(loop, return_exceptions=True)

    assert engine.run(run_id).execution_status == "PENDING_EXECUTING"
    engine.db.close()


def _due_at(u: Unit, run_id: str) -> int | None:
    return u.tx.one("run_any", RunRow, id=run_id).due_at
