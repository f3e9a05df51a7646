"""What the benchmarks share: a project, a dev session, a table on stdout, JSON in ``benchmarks/results``."""

from __future__ import annotations

import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trigger_core.api.calls import runs as run_calls
from trigger_core.api.calls import tasks as task_calls
from trigger_core.api.client import Client
from trigger_core.schemas.trigger import BatchItem, TriggerBatch, TriggerOptions, TriggerTask

RESULTS = Path(__file__).parent / "results"
CONFIG = """
from trigger_sdk import define_config
config = define_config(project="proj_abcdefghijklmnopqrst", max_concurrent_runs=32)
"""
TASKS = """
import time
from trigger_sdk import Retry, task

@task(isolation="reuse")
def noop_reused() -> float:
    return time.time()

@task
def noop_own() -> float:
    return time.time()

@task(retry=Retry(max_attempts=5, min_delay="50ms", randomize=False))
def short() -> str:
    time.sleep(0.2)
    return "done"
"""


class Session:
    """A running ``trigger dev`` without a terminal."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "trigger_cli.app", "dev", "--json", "--port", "0", *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if json.loads(line)["event"] == "loaded":
                break
        self.ready_s = time.perf_counter() - self.began
        self._drain = subprocess.Popen(
            ["cat"], stdin=self.process.stdout, stdout=subprocess.DEVNULL
        )
        session = json.loads((folder / ".trigger" / "dev.json").read_text())
        self.client = Client(session["apiUrl"], session["secretKey"])

    def trigger(self, task: str, count: int, chunk: int = 500) -> list[str]:
        """Trigger runs in batches; return their ids."""
        found: list[str] = []
        while len(found) < count:
            items = [BatchItem(task=task)] * min(chunk, count - len(found))
            batch = self.client.send(task_calls.batch_trigger(TriggerBatch(items=items)))
            found += [run.id for run in batch.runs]
        return found

    def trigger_one(self, task: str, **options: Any) -> str:
        """Trigger one run."""
        request = TriggerTask(options=TriggerOptions(**options))
        return self.client.send(task_calls.trigger(task, request)).id

    def get(self, run_id: str) -> Any:
        """Read a run."""
        return self.client.send(run_calls.retrieve(run_id))

    def wait(self, run_ids: Sequence[str], seconds: float = 120) -> None:
        """Wait until all runs are over, asking for the last ones first, and seldom: asking costs CPU too."""
        deadline = time.monotonic() + seconds
        for run_id in reversed(run_ids):
            while not self.get(run_id).is_completed:
                if time.monotonic() > deadline:
                    sys.exit(f"{run_id} did not end")
                time.sleep(0.03)
            if run_id != run_ids[-1] and run_id not in run_ids[-40:]:
                break

    def pid_of(self, module: str) -> int:
        """Return the process id of the platform or the worker."""
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
            if parent == self.process.pid and module.encode() in command:
                return int(entry.name)
        sys.exit(f"{module} is not running")

    def stop(self) -> None:
        """End it."""
        self.client.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=20)
        self._drain.wait()


@contextmanager
def project(tasks: str = "") -> Iterator[Path]:
    """Make a project folder for the time of a benchmark, with more tasks than those of all."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "tasks").mkdir()
        (folder / "trigger_config.py").write_text(CONFIG)
        (folder / "tasks" / "bench.py").write_text(TASKS + tasks)
        yield folder


def quantile(values: Sequence[float], share: float) -> float:
    """Return a quantile."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def show(title: str, rows: Sequence[tuple[str, str, str]]) -> None:
    """Print a table: what, measured, budget."""
    print(f"\n{title}")
    for what, measured, budget in rows:
        print(f"  {what:<58}{measured:>16}   {budget}")


def keep(name: str, values: dict[str, Any]) -> None:
    """Write the values as JSON."""
    RESULTS.mkdir(exist_ok=True)
    where = {"python": platform.python_version(), "cores": os.cpu_count()}
    content = json.dumps({"machine": where, **values}, indent=2)
    (RESULTS / f"{name}.json").write_text(content + "\n")
