"""Tasks that take their time: waiting without holding a slot, and keeping a core busy."""

from __future__ import annotations

import math

from trigger_sdk import logger, task, wait


@task(id="sleepy")
async def sleepy(seconds: float = 2) -> str:
    """Wait; meanwhile the run holds no slot."""
    logger.info("going to sleep", seconds=seconds)
    await wait.for_(seconds=seconds)
    return f"slept {seconds:g} s"


@task(id="cpu-heavy", max_duration="1m")
def cpu_heavy(limit: int = 200_000) -> int:
    """Count primes the slow way."""
    return sum(
        all(number % divisor for divisor in range(2, math.isqrt(number) + 1))
        for number in range(2, limit)
    )
