"""Start-up: help, import of the SDK, a session's readiness, a save."""

from __future__ import annotations

import subprocess
import sys
import time

from bench import Session, keep, median, project, show

TRIES = 9
MODULE = """
from pydantic import BaseModel
from trigger_sdk import task

class Model{n}(BaseModel):
    a: int
    b: str
    c: list[float]

@task
def task_{n}(model: Model{n}) -> int:
    return model.a
"""


def times(*command: str) -> float:
    """Return the median time of a command in milliseconds."""
    found = []
    for _ in range(TRIES):
        began = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found.append((time.perf_counter() - began) * 1000)
    return median(found)


def reload_ms() -> float:
    """Return how long a new version of 50 task modules takes, from the save on."""
    with project() as folder:
        for n in range(50):
            (folder / "tasks" / f"module_{n}.py").write_text(MODULE.format(n=n))
        session = Session(folder)
        found = []
        for save in range(TRIES):
            before = session.get(session_run(session)).version
            began = time.perf_counter()
            text = MODULE.format(n=7) + f"\nSAVED = {save}\n"
            (folder / "tasks" / "module_7.py").write_text(text)
            while session.get(session_run(session)).version == before:
                time.sleep(0.005)
            found.append((time.perf_counter() - began) * 1000)
        session.stop()
    return median(found)


def session_run(session: Session) -> str:
    """Run something and return its id once it is over."""
    run_id = session.trigger_one("noop-reused")
    while not session.get(run_id).is_completed:
        time.sleep(0.002)
    return run_id


def main() -> None:
    """Measure; report medians."""
    python = sys.executable
    values = {
        "bare interpreter": times(python, "-c", "pass"),
        "trigger --help": times(python, "-m", "trigger_cli.app", "--help"),
        "import trigger_sdk": times(python, "-c", "import trigger_sdk"),
        "save to new version, 50 modules": reload_ms(),
    }
    budgets = {
        "trigger --help": "150 ms",
        "import trigger_sdk": "80 ms",
        "save to new version, 50 modules": "300 ms",
    }
    show("Start-up", [(what, f"{ms:.0f} ms", budgets.get(what, "")) for what, ms in values.items()])
    keep("startup", values)


if __name__ == "__main__":
    main()
