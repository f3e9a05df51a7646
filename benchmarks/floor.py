"""The floor: the engine's own calls on each database, without HTTP and without a worker."""

from __future__ import annotations

import random
import sys
import tempfile
import time
from pathlib import Path

from bench import keep, show
from trigger_core.schemas.trigger import BatchItem, TriggerBatch, TriggerTask
from trigger_core.schemas.workers import (
    Connect,
    Poll,
    RegisterWorker,
    Report,
    Succeeded,
    TaskDeclaration,
    WorkerMetadata,
)
from trigger_platform.engine import channel, project, trigger, worker_version
from trigger_platform.engine.unit import Units
from trigger_platform.key_ring import KeyRing, fresh_key
from trigger_platform.store.opening import open_database

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support import postgres

RUNS = 5_000
TOGETHER = 32


def measure(address: str | Path, *, durable: bool) -> dict[str, float]:
    """Run 5,000 lifecycles; return rates per second."""
    db = open_database(address, durable=durable)
    units = Units(db, db.clock, random.Random(), KeyRing((fresh_key(),)))
    environment = units.write_sync(project.ensure, "proj_floor").environment
    metadata = WorkerMetadata(
        package_version="0",
        content_hash="x",
        tasks=[TaskDeclaration(id="noop", file_path="noop.py")],
    )
    worker = units.write_sync(
        worker_version.register, environment, RegisterWorker(metadata=metadata)
    ).id
    units.write_sync(channel.connect, environment, Connect(instance="dev", boot_id="b"))
    batch = TriggerBatch(items=[BatchItem(task="noop")] * 500)
    began = time.perf_counter()
    for _ in range(RUNS // 500):
        units.write_sync(trigger.create_batch, environment, batch)
    triggered = time.perf_counter()
    poll = Poll(boot_id="b", workers=[worker], limit=TOGETHER)
    held = units.write_sync(channel.poll, environment, poll).runs
    while held:
        done = [Succeeded(run_id=one.run_id, lease=one.lease, output="1") for one in held]
        report = Report(boot_id="b", workers=[worker], claim=TOGETHER, completions=done)
        held = units.write_sync(channel.report, environment, report).runs
    ended = time.perf_counter()
    waiting = [
        units.submit(trigger.create, environment, "noop", TriggerTask()) for _ in range(1_000)
    ]
    for one in waiting:
        one.result()
    together = time.perf_counter()
    for _ in range(1_000):
        units.write_sync(trigger.create, environment, "noop", TriggerTask())
    singles = time.perf_counter()
    db.close()
    return {
        "triggered in batches": RUNS / (triggered - began),
        "claimed and completed": RUNS / (ended - triggered),
        "whole lifecycles": RUNS / (ended - began),
        "triggered by many callers": 1_000 / (together - ended),
        "triggered one by one": 1_000 / (singles - together),
    }


def on_sqlite(*, durable: bool) -> dict[str, float]:
    """Measure on a file."""
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder) / "floor.db", durable=durable)


def main() -> None:
    """Measure with and without durability against power cuts, on both databases in turn."""
    server = postgres.launch(settings={})
    values = {
        "SQLite, normal": on_sqlite(durable=False),
        "PostgreSQL, asynchronous": measure(server.database(), durable=False),
        "SQLite, full": on_sqlite(durable=True),
        "PostgreSQL, synchronous": measure(server.database(), durable=True),
    }
    ratio = (
        values["PostgreSQL, synchronous"]["whole lifecycles"]
        / values["SQLite, full"]["whole lifecycles"]
    )
    rows = [
        (f"{what} ({mode})", f"{rate:,.0f}/s", "")
        for mode, rates in values.items()
        for what, rate in rates.items()
    ]
    rows.append(("PostgreSQL to SQLite, whole lifecycles", f"{ratio:.2f}", ""))
    show("Raw engine (the first of each as in dev, the second as in production)", rows)
    keep("floor", values)


if __name__ == "__main__":
    main()
