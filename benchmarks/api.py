"""The API of ``trigger server start``: triggers accepted, reads beside a million runs, two processes.

Clients are processes of their own with plain connections (an HTTP library costs more than the server does).
"""

from __future__ import annotations

import argparse
import http.client
import json
import multiprocessing
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bench import keep, median, quantile, show
from trigger_core import ids

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support import postgres
from support.server import Started

COLUMNS = (
    "id, environment_id, task, status, execution_status, sequence, attempt, queue, anchor, position,"
    " created_at, updated_at, started_at, completed_at, usage_ms, tags, output_type, output"
)
ENDS = ("COMPLETED_SUCCESSFULLY", "COMPLETED_WITH_ERRORS", "CANCELED", "CRASHED")
HOUR_MS = 3_600_000
READS = 300


@dataclass(frozen=True)
class Target:
    """Where a client calls."""

    host: str
    port: int
    key: str

    @classmethod
    def of(cls, server: Started) -> Target:
        """Return the address and key of a server."""
        return cls(*server.address, server.ready["secretKey"])

    def call(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: Any = None
    ) -> Any:
        """Send one request on a kept connection; an error ends the benchmark."""
        headers = {"authorization": f"Bearer {self.key}"}
        content = None if body is None else json.dumps(body)
        connection.request(method, path, content, headers)
        answer = connection.getresponse()
        text = answer.read()
        if answer.status >= 300:
            sys.exit(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def connect(self) -> http.client.HTTPConnection:
        """Open a connection."""
        return http.client.HTTPConnection(self.host, self.port)


def trigger_one_by_one(target: Target, count: int) -> None:
    """Trigger runs that stay delayed: nothing but accepting is measured."""
    body = {"payload": {"n": 1}, "options": {"delay": "1h"}}
    with closing(target.connect()) as connection:
        for _ in range(count):
            target.call(connection, "POST", "/api/v1/tasks/noop/trigger", body)


def trigger_batches(target: Target, count: int) -> None:
    """Trigger runs five hundred at a time."""
    item = {"task": "noop", "payload": {"n": 1}, "options": {"delay": "1h"}}
    with closing(target.connect()) as connection:
        for _ in range(count // 500):
            target.call(connection, "POST", "/api/v1/tasks/batch", {"items": [item] * 500})


def rate(work: Any, targets: Sequence[Target], count: int) -> float:
    """Return how many a second all clients together get done, one client per target."""
    clients = [multiprocessing.Process(target=work, args=(one, count)) for one in targets]
    began = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    if any(client.exitcode for client in clients):
        sys.exit("a client failed")
    return count * len(targets) / (time.perf_counter() - began)


def fill(file: Path, environment_id: str, count: int) -> list[str]:
    """Write runs that are over, spread over a month, past the engine; return some of their ids."""
    rng, now = random.Random(1), int(time.time() * 1000)
    step = 30 * 24 * HOUR_MS // count
    kept: list[str] = []

    def rows() -> Iterator[tuple[Any, ...]]:
        for n in range(count):
            at = now - HOUR_MS - (count - n) * step
            run_id = ids.run_id(at, rng)
            if n % (count // 200) == 0:
                kept.append(run_id)
            end = ENDS[0] if n % 10 else ENDS[n // 10 % 4]
            tag = json.dumps([f"customer-{n % 1000}"])
            yield (
                *(run_id, environment_id, f"task-{n % 20}", end, "FINISHED", 4, 1),
                *(f"task/task-{n % 20}", at, at, at, at, at, at, 5, tag, "application/json", "1"),
            )

    with closing(sqlite3.connect(file)) as connection, connection:
        marks = ", ".join("?" * len(COLUMNS.split(",")))
        connection.executemany(f"insert into run ({COLUMNS}) values ({marks})", rows())
        connection.execute(
            "insert into run_tag (environment_id, tag, run_id)"
            " select environment_id, json_extract(tags, '$[0]'), id from run where tags is not null"
        )
    return kept


def reads(target: Target, known: Sequence[str]) -> dict[str, list[float]]:
    """Return how long each kind of read takes, in ms."""
    lists = {
        "the newest 25": "",
        "of one task": f"?{quote('filter[taskIdentifier]')}=task-7",
        "failed ones": f"?{quote('filter[status]')}=FAILED",
        "with a tag": f"?{quote('filter[tag]')}=customer-77",
        "of the last day": f"?{quote('filter[createdAt][period]')}=1d",
        "page by page": f"?{quote('page[after]')}={known[len(known) // 2]}",
    }
    paths = {f"list {name}": [f"/api/v1/runs{query}"] * READS for name, query in lists.items()}
    paths["retrieve one"] = [f"/api/v3/runs/{known[n % len(known)]}" for n in range(READS)]
    took: dict[str, list[float]] = {}
    with closing(target.connect()) as connection:
        for name, wanted in paths.items():
            target.call(connection, "GET", wanted[0])
            took[name] = [_timed(target, connection, path) for path in wanted]
    return took


def _timed(target: Target, connection: http.client.HTTPConnection, path: str) -> float:
    began = time.perf_counter()
    target.call(connection, "GET", path)
    return (time.perf_counter() - began) * 1000


def measure_reads(count: int) -> dict[str, list[float]]:
    """Measure reads on SQLite beside that many runs."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "platform.db"
        first = Started(file)
        trigger_one_by_one(Target.of(first), 1)
        first.stop()
        with closing(sqlite3.connect(file)) as connection:
            [(environment_id,)] = connection.execute("select environment_id from run")
        known = fill(file, environment_id, count)
        server = Started(file)
        took = reads(Target.of(server), known)
        server.stop()
    return took


def measure_accepting(database: str | Path, servers: int, clients: int) -> dict[str, float]:
    """Measure triggers on that many server processes and clients."""
    started = [Started(database) for _ in range(servers)]
    targets = [Target.of(started[n % servers]) for n in range(clients)]
    rate(trigger_one_by_one, targets, 200)
    values = {
        "one by one": median([rate(trigger_one_by_one, targets, 1_500) for _ in range(3)]),
        "in batches": median([rate(trigger_batches, targets, 10_000) for _ in range(3)]),
    }
    for server in started:
        server.stop()
    return values


def main() -> None:
    """Measure accepting and reading."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=1_000_000)
    count = parser.parse_known_args()[0].runs
    with tempfile.TemporaryDirectory() as name:
        accepted = {
            "SQLite, 1 client": measure_accepting(Path(name) / "a.db", 1, 1),
            "SQLite, 2 clients": measure_accepting(Path(name) / "b.db", 1, 2),
        }
    address = postgres.launch(settings={})
    for servers in (1, 2):
        name = f"PostgreSQL, {servers} platform process{'es' * (servers > 1)}, 2 clients"
        accepted[name] = measure_accepting(address.database(), servers, 2)
    budget = {"SQLite, 1 client": ("≥ 1,000/s", "≥ 3,000/s")}
    rows = [
        (f"{name}, {how}", f"{value:,.0f}/s", budget.get(name, ("", ""))[how == "in batches"])
        for name, values in accepted.items()
        for how, value in values.items()
    ]
    show("Triggers accepted (durable)", rows)
    few, many = measure_reads(2_000), measure_reads(count)
    show(
        f"Reads beside 2,000 and {count:,} runs: p50 and p99 (ms)",
        [
            (
                name,
                f"{quantile(many[name], 0.5):.1f} / {quantile(many[name], 0.99):.1f}",
                f"{quantile(few[name], 0.5):.1f} / {quantile(few[name], 0.99):.1f} beside 2,000",
            )
            for name in many
        ],
    )
    keep("api", {"accepted": accepted, "reads": {"few": few, "many": many}})


if __name__ == "__main__":
    main()
