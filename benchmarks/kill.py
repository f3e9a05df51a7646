"""kill -9 of the worker, of the platform, of the whole session, amid 200 runs of 0.2 s."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from bench import Session, keep, project, show

RUNS = 200


def measure(folder: Path, victim: str) -> dict[str, Any]:
    """Kill one of the processes in the middle; return what became of the runs."""
    session = Session(folder)
    run_ids = session.trigger("short", RUNS)
    while session.get(run_ids[RUNS // 3]).status != "COMPLETED":
        time.sleep(0.01)
    if victim == "session":
        session.process.kill()
        session.process.wait()
        killed = time.perf_counter()
        session = Session(folder)
    else:
        os.kill(session.pid_of(f"trigger_{victim}"), signal.SIGKILL)
        killed = time.perf_counter()
    left = sum(not session.get(run_id).is_completed for run_id in run_ids)
    session.wait(run_ids)
    runs = [session.get(run_id) for run_id in run_ids]
    while not all(run.is_completed for run in runs):
        runs = [session.get(run_id) for run_id in run_ids]
    took = time.perf_counter() - killed
    ready = session.ready_s
    session.stop()
    ends = [sum(a.status == "COMPLETED" for a in run.attempts) for run in runs]
    return {
        "lost": sum(run.status != "COMPLETED" for run in runs),
        "finished twice": sum(count > 1 for count in ends),
        "attempts repeated": sum(run.attempt_count - 1 for run in runs),
        "left at the kill": left,
        "seconds": took,
        "session start": ready if victim == "session" else 0.0,
    }


def main() -> None:
    """Kill each of the three."""
    values = {}
    for victim in ("worker", "platform", "session"):
        with project() as folder:
            values[victim] = measure(folder, victim)
    rows = [
        (
            f"{victim}: {found['left at the kill']} left, {found['attempts repeated']} repeated",
            f"{found['seconds']:.2f} s",
            f"lost {found['lost']}, finished twice {found['finished twice']}",
        )
        for victim, found in values.items()
    ]
    show("kill -9 amid 200 runs of 0.2 s, until all are done (restart included)", rows)
    keep("kill", values)


if __name__ == "__main__":
    main()
