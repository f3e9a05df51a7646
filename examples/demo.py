"""The tour of ``make demo``: starts `trigger dev` on examples/hello and shows what becomes of real runs.

On a terminal it leaves the session open; otherwise it ends by itself, with 0 if everything went as it should.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).parent / "hello"
SESSION = PROJECT / ".trigger" / "dev.json"
sys.path.insert(0, str(PROJECT))
os.chdir(PROJECT)

from tasks.failing import always_fail, crash, fail_once  # noqa: E402 - needs the path above
from tasks.hello_world import Hello, Item, Order, hello_world, price_order  # noqa: E402
from tasks.teamwork import teamwork  # noqa: E402
from tasks.working import cpu_heavy, sleepy  # noqa: E402

from trigger_sdk import runs  # noqa: E402


@dataclass(frozen=True)
class Step:
    """A run of the tour and how it should end."""

    what: str
    handle: Any
    status: str
    attempts: int


def trigger_all() -> list[Step]:
    """Trigger one run of each kind."""
    order = Order(id="o-1", items=[Item(name="tea", price=4.5, count=2), Item(name="cup", price=9)])
    return [
        Step("succeeds", hello_world.trigger_sync(Hello(message="hi")), "COMPLETED", 1),
        Step("takes a model", price_order.trigger_sync(order), "COMPLETED", 1),
        Step("fails, is retried", fail_once.trigger_sync(), "COMPLETED", 2),
        Step("fails for good", always_fail.trigger_sync(), "FAILED", 2),
        Step("waits 2 s", sleepy.trigger_sync(2), "COMPLETED", 1),
        Step("waits for children", teamwork.trigger_sync(["Ann", "Bob"]), "COMPLETED", 1),
        Step("keeps a core busy", cpu_heavy.trigger_sync(100_000), "COMPLETED", 1),
        Step("loses its process", crash.trigger_sync("kill"), "CRASHED", 1),
    ]


def show(steps: list[Step]) -> bool:
    """Print the ends of the runs; tell whether they are the expected ones."""
    print(f"\n{'':<20}{'task':<14}{'status':<11}{'attempts':<10}result")
    good = True
    for step in steps:
        run = runs.poll_sync(step.handle, interval="50ms", timeout="1m")
        as_expected = (run.status, run.attempt_count) == (step.status, step.attempts)
        good &= as_expected
        result = run.output if run.is_success else run.error and run.error.message
        mark = "" if as_expected else f"   <- expected {step.status}"
        print(f"{step.what:<20}{run.task:<14}{run.status:<11}{run.attempt_count:<10}{result}{mark}")
    return good


def wait_for_session(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    """Return the session's file once it is there and is this session's."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if SESSION.exists():
            session: dict[str, Any] = json.loads(SESSION.read_text(encoding="utf-8"))
            if session["pid"] == process.pid:
                return session
        time.sleep(0.05)
    sys.exit("the dev session did not start")


def main() -> int:
    """Give the tour; return the exit code."""
    command = [sys.executable, "-m", "trigger_cli.app", "dev", "--port", "0"]
    process = subprocess.Popen(command, cwd=PROJECT, start_new_session=True)
    try:
        session = wait_for_session(process)
        os.environ["TRIGGER_API_URL"] = session["apiUrl"]
        os.environ["TRIGGER_SECRET_KEY"] = session["secretKey"]
        good = show(trigger_all())
        if sys.stdout.isatty():
            print(f"\nThe session is yours: {session['dashboardUrl']}")
            print(f"In another terminal: cd {os.path.relpath(PROJECT, os.environ.get('PWD', '.'))}")
            print(
                """  trigger run hello-world '{"message": "hi"}' --wait      (Ctrl-C here ends it)"""
            )
            process.wait()
    except KeyboardInterrupt:
        good = True
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
