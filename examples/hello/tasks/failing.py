"""Tasks that fail: once, always, and by taking their process with them."""

from __future__ import annotations

import os
import signal
from typing import Literal

from trigger_sdk import Context, Retry, logger, task


@task(id="fail-once", retry=Retry(max_attempts=3, min_delay="500ms", randomize=False))
def fail_once(ctx: Context) -> str:
    """Fail on the first attempt and succeed on the second."""
    if ctx.attempt.number == 1:
        raise ConnectionError("the service did not answer")
    return f"succeeded on attempt {ctx.attempt.number}"


@task(id="always-fail", retry=Retry(max_attempts=2, min_delay="200ms", randomize=False))
async def always_fail() -> None:
    """Fail until there are no attempts left."""
    logger.warning("this will not end well")
    raise ValueError("this task always fails")


@task(id="crash", retry=Retry(max_attempts=1))
def crash(how: Literal["exit", "kill", "segfault"] = "exit") -> None:
    """End the process from inside."""
    match how:
        case "exit":
            os._exit(3)
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "segfault":
            os.kill(os.getpid(), signal.SIGSEGV)
