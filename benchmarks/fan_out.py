"""A parent triggers 500 children and has their results: its own time, on an idle session."""

from __future__ import annotations

import time

from bench import Session, keep, median, project, show
from trigger_core.api.calls import tasks as task_calls
from trigger_core.schemas.trigger import TriggerTask

CHILDREN = 500
ROUNDS = 9
TASKS = """
@task
async def fan_out(count: int) -> float:
    began = time.perf_counter()
    found = await noop_reused.batch_trigger_and_wait([None] * count)
    assert len(found.outputs()) == count
    return time.perf_counter() - began
"""


def measure() -> list[float]:
    """Return the parent's seconds, round by round; the first round warms up."""
    with project(TASKS) as folder:
        session = Session(folder)
        took = []
        for _ in range(ROUNDS + 1):
            run_id = session.client.send(
                task_calls.trigger("fan-out", TriggerTask(payload=CHILDREN))
            ).id
            while not (run := session.get(run_id)).is_completed:
                time.sleep(0.01)
            took.append(float(run.output))
        session.stop()
    return took[1:]


def main() -> None:
    """Print and keep the median and the worst."""
    took = measure()
    show(
        f"{CHILDREN} children and back",
        [("median", f"{median(took):.2f} s", "0.40 s"), ("worst", f"{max(took):.2f} s", "")],
    )
    keep("fan_out", {"seconds": took})


if __name__ == "__main__":
    main()
