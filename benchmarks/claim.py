"""Claiming from queues of every shape: many queues, many keys, a mountain under one key, a full table."""

from __future__ import annotations

import random
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import keep, median, show
from trigger_core.clock import SystemClock
from trigger_core.schemas.workers import (
    Connect,
    Poll,
    RegisterWorker,
    Report,
    Succeeded,
    TaskDeclaration,
    WorkerMetadata,
)
from trigger_platform.engine import channel, project, worker_version
from trigger_platform.engine.unit import Units
from trigger_platform.key_ring import KeyRing, fresh_key
from trigger_platform.store.sqlite import open_database

TOGETHER = 32
CLAIMS = 60
FINISHED = 1_000_000
ENVIRONMENT_LIMIT = 1_000_000
COLUMNS = (
    "id, environment_id, task, status, execution_status, sequence, attempt, queue, concurrency_key,"
    " anchor, position, created_at, updated_at, completed_at"
)


@dataclass(frozen=True)
class Shape:
    """What waits: pairs of queue and key for every run, and which queues are full.

    Attributes:
        name: shown in the table.
        queues: how many queues; runs go to them in turn.
        keys: how many concurrency keys; 0 for none.
        runs: how many runs wait.
        mountain: how many more wait under one key, in front of all others.
        full: how many further runs stand at the front in a queue that is full.
    """

    name: str
    queues: int = 1
    keys: int = 0
    runs: int = 5_000
    mountain: int = 0
    full: int = 0

    def lines(self) -> Iterator[tuple[str, str]]:
        """Return queue and key of each run, in order of position."""
        for _ in range(self.full):
            yield "full", ""
        for _ in range(self.mountain):
            yield "q0", "mountain"
        for n in range(self.runs):
            yield f"q{n % self.queues}", f"k{n % self.keys}" if self.keys else ""


SHAPES = (
    Shape("1 queue"),
    Shape("100 queues", queues=100),
    Shape("1,000 queues", queues=1_000),
    Shape("100 queues behind 10,000 runs of a full one", queues=100, full=10_000),
    Shape("1,000 queues behind 10,000 runs of a full one", queues=1_000, full=10_000),
    Shape("1,000 keys", keys=1_000),
    Shape("10,000 keys", keys=10_000, runs=20_000),
    Shape("100 queues with 1,000 keys", queues=100, keys=1_000),
    Shape("the same behind 10,000 runs of a full queue", queues=100, keys=1_000, full=10_000),
    Shape("1,000 keys beside one key with 100,000 runs", keys=1_000, mountain=100_000),
)


class Bench:
    """A database file with runs in it, and a worker's seat."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.db = open_database(path, durable=False)
        self.units = Units(self.db, SystemClock(), random.Random(1), KeyRing((fresh_key(),)))
        self.environment = self.units.write_sync(project.ensure, "proj_claim").environment
        metadata = WorkerMetadata(
            package_version="0",
            content_hash="x",
            tasks=[TaskDeclaration(id="noop", file_path="noop.py")],
        )
        request = RegisterWorker(metadata=metadata)
        self.worker = self.units.write_sync(worker_version.register, self.environment, request).id
        self.units.write_sync(channel.connect, self.environment, Connect(instance="d", boot_id="b"))

    def fill(self, shape: Shape) -> None:
        """Write the queues and runs, past the engine: a million triggers would take a while."""
        with sqlite3.connect(self.path) as connection:
            connection.execute("update environment set concurrency_limit = ?", (ENVIRONMENT_LIMIT,))
            names = [*(f"q{n}" for n in range(shape.queues)), "full"]
            connection.executemany(
                "insert into queue (environment_id, name, id, type, concurrency_limit, created_at)"
                " values (?, ?, ?, 'custom', ?, 0)",
                [
                    (self.environment.id, name, f"queue_{name}", 0 if name == "full" else None)
                    for name in names
                ],
            )
            connection.executemany(
                "insert into worker_queue (worker_id, queue, type) values (?, ?, 'custom')",
                [(self.worker, name) for name in names],
            )
            waiting = enumerate(shape.lines())
            _insert(connection, (self._waiting(n, *line) for n, line in waiting))
        connection.close()

    def finish(self, count: int) -> None:
        """Write runs that are over."""
        with sqlite3.connect(self.path) as connection:
            _insert(connection, (self._finished(n) for n in range(count)))
        connection.close()

    def work(self, claims: int = CLAIMS) -> dict[str, float]:
        """Claim and complete; return runs per second and the median of one claim, in ms.

        Both in time of the processor, over all threads: what else the machine does is not measured.
        """
        spent, took, handed = 0.0, [], 0
        for _ in range(claims):
            began = time.process_time()
            poll = Poll(boot_id="b", workers=[self.worker], limit=TOGETHER)
            runs = self.units.write_sync(channel.poll, self.environment, poll).runs
            took.append((time.process_time() - began) * 1_000)
            done = [Succeeded(run_id=one.run_id, lease=one.lease, output="1") for one in runs]
            report = Report(boot_id="b", workers=[self.worker], completions=done)
            self.units.write_sync(channel.report, self.environment, report)
            spent += time.process_time() - began
            handed += len(runs)
        return {"runs per second": handed / spent, "ms per claim": median(took)}

    def _waiting(self, n: int, queue: str, key: str) -> tuple[object, ...]:
        run_id = f"run_w{n:020d}"
        return (
            run_id,
            self.environment.id,
            "noop",
            "PENDING",
            "QUEUED",
            1,
            0,
            queue,
            key,
            n,
            n,
            n,
            n,
            None,
        )

    def _finished(self, n: int) -> tuple[object, ...]:
        run_id, status = f"run_f{n:020d}", "COMPLETED_SUCCESSFULLY"
        return (
            run_id,
            self.environment.id,
            "noop",
            status,
            "FINISHED",
            4,
            1,
            f"q{n % 100}",
            "",
            n,
            n,
            n,
            n,
            n,
        )


def _insert(connection: sqlite3.Connection, rows: Iterator[tuple[object, ...]]) -> None:
    marks = ", ".join("?" * len(COLUMNS.split(",")))
    insert = f"insert into run ({COLUMNS}) values ({marks})"
    connection.executemany(insert, rows)


def measure(shape: Shape, finished: int = 0) -> dict[str, float]:
    """Measure one shape in a file of its own."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "claim.db")
        bench.finish(finished)
        bench.fill(shape)
        bench.work(5)
        values = bench.work()
        bench.db.close()
    return values


def main() -> None:
    """Measure every shape, and the first with a million finished runs beside it."""
    measure(SHAPES[0])
    values = {shape.name: measure(shape) for shape in SHAPES}
    plain = SHAPES[0].name
    full = f"{plain}, 1,000,000 finished runs in the table"
    values[full] = measure(SHAPES[0], FINISHED)
    ratio = values[full]["runs per second"] / values[plain]["runs per second"]
    rows = [
        (name, f"{one['runs per second']:,.0f}/s {one['ms per claim']:5.1f} ms", "")
        for name, one in values.items()
    ]
    rows.append(("claim and complete at a million, against empty", f"{ratio:.0%}", "≥ 80 %"))
    show(f"Claimed and completed, {TOGETHER} runs at a time; one claim (CPU time)", rows)
    keep("claim", {"shapes": values, "at a million": ratio})


if __name__ == "__main__":
    main()
