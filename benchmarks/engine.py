"""What the engine itself does, without HTTP and without a worker, on SQLite and on PostgreSQL.

Both commit as in production. Every shape has a database of its own and is measured in three rounds on it; the
table shows medians. Clocks are those on the wall, so whatever else the machine does is in the figures.
"""

from __future__ import annotations

import argparse
import random
import resource
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from bench import keep, median, show
from trigger_core.clock import Clock, VirtualClock
from trigger_core.schemas.trigger import BatchItem, TriggerBatch, TriggerOptions
from trigger_core.schemas.workers import (
    Assignment,
    Connect,
    Poll,
    RegisterWorker,
    Report,
    Started,
    Succeeded,
    TaskDeclaration,
    TriggerAndWait,
    WorkerMetadata,
)
from trigger_platform.engine import channel, due, project, trigger, worker_version
from trigger_platform.engine.unit import Units
from trigger_platform.key_ring import KeyRing, fresh_key
from trigger_platform.store.opening import open_database

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support import postgres

TOGETHER = 32
ROUNDS = 3
HOUR_MS = 3_600_000
FINISHED = """
insert into run (id, environment_id, task, status, execution_status, sequence, attempt, queue,
    concurrency_key, anchor, position, created_at, updated_at, completed_at)
with recursive numbers (n) as
    (select cast(1 as bigint) union all select n + 1 from numbers where n < {count})
select 'run_f' || (10000000000000 + n), '{environment}', 'noop0', 'COMPLETED_SUCCESSFULLY',
    'FINISHED', 4, 1, 'task/noop0', '', n, n, n, n, n from numbers
"""


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    runs: int = 3_000
    finished: int = 100_000
    children: int = 500
    timers: int = 10_000


class Seat:
    """An engine on a database, with a worker that has nothing to do but to answer."""

    def __init__(self, address: str | Path, tasks: int = 1, clock: Clock | None = None) -> None:
        self.address = address
        self.db = open_database(address, durable=True)
        self.units = Units(
            self.db, clock or self.db.clock, random.Random(1), KeyRing((fresh_key(),))
        )
        self.environment = self._call(project.ensure, "proj_engine").environment
        declared = [TaskDeclaration(id=f"noop{n}", file_path="noop.py") for n in range(tasks)]
        metadata = WorkerMetadata(package_version="0", content_hash="x", tasks=declared)
        request = RegisterWorker(metadata=metadata)
        registered = self._call(worker_version.register, self.environment, request)
        self.workers = [str(registered.id)]
        self._call(channel.connect, self.environment, Connect(instance="dev", boot_id="b"))

    def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        return self.units.write_sync(function, *args)

    def finish(self, count: int) -> None:
        """Write runs that are over, past the engine."""
        text = FINISHED.format(count=count, environment=self.environment.id)
        if isinstance(self.address, Path):
            with closing(sqlite3.connect(self.address)) as file, file:
                file.execute(text)
                file.execute("analyze")
        else:
            with psycopg.connect(self.address, autocommit=True) as server:
                server.execute(text.encode())
                server.execute("analyze")

    def trigger(self, items: Sequence[BatchItem]) -> None:
        """Trigger runs, 500 in a call."""
        for first in range(0, len(items), 500):
            batch = TriggerBatch(items=list(items[first : first + 500]))
            self._call(trigger.create_batch, self.environment, batch)

    def claim(self) -> list[Assignment]:
        """Claim runs and say that they began."""
        poll = Poll(boot_id="b", workers=self.workers, limit=TOGETHER)
        runs: list[Assignment] = self._call(channel.poll, self.environment, poll).runs
        if runs:
            now = self.units.clock.now()
            began = [Started(run_id=one.run_id, lease=one.lease, at=now) for one in runs]
            self.report(started=began)
        return runs

    def report(self, **what: Any) -> None:
        """Report, without asking for more."""
        report = Report(boot_id="b", workers=self.workers, **what)
        self._call(channel.report, self.environment, report)

    def complete(self, runs: Sequence[Assignment]) -> None:
        """Say that attempts returned."""
        done = [Succeeded(run_id=one.run_id, lease=one.lease, output="1") for one in runs]
        self.report(completions=done)

    def work_off(self) -> int:
        """Claim, begin and complete until nothing is left; return how many runs it were."""
        worked = 0
        while runs := self.claim():
            self.complete(runs)
            worked += len(runs)
        return worked

    def lifecycles(self, items: Sequence[BatchItem]) -> float:
        """Return whole lives of runs per second."""
        began = time.perf_counter()
        self.trigger(items)
        _expect(self.work_off(), len(items))
        return len(items) / (time.perf_counter() - began)

    def family(self, children: int) -> float:
        """Return how many seconds a parent with children takes, from its trigger to its end."""
        began = time.perf_counter()
        self.trigger([BatchItem(task="noop0")])
        [parent] = self.claim()
        asked = TriggerAndWait(
            run_id=parent.run_id,
            lease=parent.lease,
            ref="all",
            items=[BatchItem(task="noop0")] * children,
            is_batch=True,
        )
        self.report(triggers=[asked])
        _expect(self.work_off(), children)
        self.complete([parent])
        return time.perf_counter() - began


def _expect(found: int, expected: int) -> None:
    if found != expected:
        sys.exit(f"{found} runs were worked off instead of {expected}")


def lateness(address: str | Path, count: int) -> float:
    """Return how many seconds after their common moment the last of the delayed runs is in the queue."""
    clock = VirtualClock()
    seat = Seat(address, clock=clock)
    late = []
    for _ in range(ROUNDS):
        options = TriggerOptions(delay="1h")
        seat.trigger([BatchItem(task="noop0", options=options)] * count)
        clock.advance(HOUR_MS)
        began, moved = time.perf_counter(), 0
        while found := seat.units.write_sync(due.sweep).moved:
            moved += found
        late.append(time.perf_counter() - began)
        _expect(moved, count)
        seat.work_off()
    seat.db.close()
    return median(late)


def measure(new: Callable[[], str | Path], sizes: Sizes) -> dict[str, float]:
    """Measure everything on one kind of database."""
    values: dict[str, float] = {}

    def rounds(name: str, seat: Seat, one: Callable[[], float]) -> None:
        values[name] = median([one() for _ in range(ROUNDS)])
        seat.db.close()

    for queues in (1, 100, 1_000):
        seat = Seat(new(), tasks=queues)
        items = [BatchItem(task=f"noop{n % queues}") for n in range(sizes.runs)]
        name = f"lifecycles/s, {queues:,} {'queue' if queues == 1 else 'queues'}"
        rounds(name, seat, lambda seat=seat, items=items: seat.lifecycles(items))  # type: ignore[misc]
    seat = Seat(new())
    keyed = [
        BatchItem(task="noop0", options=TriggerOptions(concurrency_key=f"k{n % 100}"))
        for n in range(sizes.runs)
    ]
    rounds("lifecycles/s, 1 queue with 100 keys", seat, lambda: seat.lifecycles(keyed))
    full = Seat(new())
    full.finish(sizes.finished)
    plain = [BatchItem(task="noop0")] * sizes.runs
    name = f"lifecycles/s, 1 queue, {sizes.finished:,} finished runs"
    rounds(name, full, lambda: full.lifecycles(plain))
    parents = Seat(new())
    name = f"parent with {sizes.children} children (s)"
    rounds(name, parents, lambda: parents.family(sizes.children))
    values[f"{sizes.timers:,} delayed runs due at once, the last (s)"] = lateness(
        new(), sizes.timers
    )
    return values


@contextmanager
def files() -> Iterator[Callable[[], Path]]:
    """Give a new file with every call."""
    with tempfile.TemporaryDirectory() as folder:
        names = iter(range(1_000))
        yield lambda: Path(folder) / f"engine{next(names)}.db"


def _memory() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024


def main() -> None:
    """Measure on SQLite, then on PostgreSQL; print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--finished", type=int, help="how many finished runs (100,000)")
    parser.add_argument("--postgres", help="a server's address instead of one started here")
    given = parser.parse_args()
    sizes = Sizes(runs=600, finished=5_000, timers=1_000) if given.quick else Sizes()
    if given.finished is not None:
        sizes = Sizes(sizes.runs, given.finished, sizes.children, sizes.timers)
    with files() as new:
        sqlite = measure(new, sizes)
    sqlite["peak memory of the process so far (MiB)"] = _memory()
    server = postgres.Server(given.postgres) if given.postgres else postgres.launch(settings={})
    server_values = measure(server.database, sizes)
    server_values["peak memory of the process so far (MiB)"] = _memory()
    rows = [(name, _cell(value), _cell(server_values[name])) for name, value in sqlite.items()]
    show("The engine: SQLite, then PostgreSQL", rows)
    keep("engine", {"SQLite": sqlite, "PostgreSQL": server_values})


def _cell(value: float) -> str:
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


if __name__ == "__main__":
    main()
