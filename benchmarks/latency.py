"""From the call of trigger to the first line of the task, on an idle machine."""

from __future__ import annotations

import time

from bench import Session, keep, project, quantile, show

TRIES = 300


def measure(session: Session, task: str) -> list[float]:
    """Return milliseconds from before the request is sent until the task's body runs.

    Nobody asks for the run before it has begun: that would keep the platform busy with something else.
    """
    found: list[float] = []
    for _ in range(TRIES):
        began = time.time()
        run_id = session.trigger_one(task)
        time.sleep(0.03)
        while not (run := session.get(run_id)).is_completed:
            time.sleep(0.01)
        found.append((run.output - began) * 1000)
    return found


def main() -> None:
    """Measure both kinds of processes."""
    with project() as folder:
        session = Session(folder)
        ready = session.ready_s
        for task in ("noop-own", "noop-reused"):
            session.wait([session.trigger_one(task) for _ in range(20)])
        own, reused = measure(session, "noop-own"), measure(session, "noop-reused")
        session.stop()
    rows = [
        ("own process, p50", f"{quantile(own, 0.5):.1f} ms", "2.5 ms"),
        ("own process, p99", f"{quantile(own, 0.99):.1f} ms", "6 ms"),
        ("reused process, p50", f"{quantile(reused, 0.5):.1f} ms", "1.2 ms"),
        ("reused process, p99", f"{quantile(reused, 0.99):.1f} ms", "2.4 ms"),
        ("trigger dev ready", f"{ready:.2f} s", "1.0 s"),
    ]
    show("Latency, trigger to start", rows)
    keep("latency", {"own": own, "reused": reused, "ready_s": ready})


if __name__ == "__main__":
    main()
