"""The platform is killed again and again while the official clients trigger and a worker executes.

A client knows only what it was answered, and repeats by its own rules what it was not. Everything goes through
a balancer that sees what passes, so that each kill falls on a chosen moment: a request that has come, a commit
whose answer is on its way, a batch of which half is there, an answer that was just heard.
"""

from __future__ import annotations

import json
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support import postgres
from support.balancer import Address, Balancer, Moment
from support.dev import until, write_project
from support.http import PROJECT
from support.kept import Kept, looking_into
from support.npm import VERSIONS, Official
from support.program import Program
from support.server import Started
from trigger_core.api.calls import runs as calls
from trigger_platform.store.rows import RunRow

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("compat-killed"),
    pytest.mark.timeout(300),
]

TASKS = """
import os
from trigger_sdk import task

@task(isolation="reuse")
def count(payload: dict) -> str:
    call = payload["call"]
    with open(os.environ["EXECUTED"], "a") as out:
        out.write(call + "\\n")
    return call
"""

CLIENT = """
const { createInterface } = await import("node:readline");
const note = (entry) => console.log(JSON.stringify(entry));
const retry = {maxAttempts: 200, minTimeoutInMs: 50, factor: 1.5, maxTimeoutInMs: 500};
const make = async (call, ask) => {
  note({call});
  try { note({call, ...await ask(call)}); }
  catch (error) { note({call, failed: String(error)}); }
};
const one = async (call, options = {}) => (await tasks.trigger("count", {call}, options, {retry})).id;
const single = async (call) => ({run: await one(call)});
const asIs = async (call) => ({run: (await tasks.trigger("count", {call})).id});
const keyed = async (call) => {
  const ids = await Promise.all([1, 2].map(() => one(call, {idempotencyKey: call})));
  return {run: ids[0], same: ids[0] === ids[1]};
};
const many = (size) => async (call) => {
  const items = Array.from({length: size}, (_, n) => ({payload: {call: `${call} ${n}`}}));
  return {batch: (await tasks.batchTrigger("count", items, {}, {retry})).batchId, size};
};
const row = async (call, count, ask) => {
  for (let n = 0; n < count; n++) await make(`${given.name} ${call} ${n}`, ask);
};
const round = (number) => Promise.all([
  ...[1, 2, 3, 4].map((n) => row(`single ${number} ${n}`, 5, single)),
  row(`default ${number}`, 3, asIs),
  row(`keyed ${number}`, 5, keyed),
  row(`batch ${number}`, 3, many(20)),
  row(`large ${number}`, number === given.large ? 1 : 0, many(450)),
]);
const rounds = [];
for await (const line of createInterface({input: process.stdin})) rounds.push(round(Number(line)));
await Promise.all(rounds);
"""

TRIGGER = b"POST /api/v1/tasks/count/trigger"
OPEN = b"POST /api/v3/batches HTTP"
ITEMS = b"/items HTTP"
HALF = b'"index":300,'
MOMENTS: tuple[tuple[Moment, bytes, int], ...] = (
    ("answered", b"POST /engine/v1/worker/poll", 1),
    ("answered", TRIGGER, 15),
    ("asked", TRIGGER, 15),
    ("told", TRIGGER, 15),
    ("answered", OPEN, 3),
    ("asked", HALF, 1),
    ("answered", ITEMS, 3),
    ("answered", b"POST /engine/v1/worker/report", 2),
)
LARGE = [words for _, words, _ in MOMENTS].index(HALF)


@dataclass
class Client:
    """An official client that triggers without a pause; what it heard is kept."""

    process: subprocess.Popen[str]
    asked: set[str] = field(default_factory=set)
    heard: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if said is not None and len(said) > 1:
                self.heard.append(said)
            elif said is not None:
                self.asked.add(said["call"])

    def begin(self, number: int) -> None:
        """Begin a round of calls; those of the round before may still be under way."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{number}\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Let it finish the calls that are under way."""
        assert self.process.stdin is not None
        assert self.process.stderr is not None
        self.process.stdin.close()
        assert self.process.wait(60) == 0, self.process.stderr.read()
        self._reader.join(10)

    def kill(self) -> None:
        """Kill it, if it lives, and let go of its pipes."""
        with self.process:
            self.process.kill()

    @property
    def failed(self) -> set[str]:
        """Calls that came to nothing for the client."""
        return {one["call"] for one in self.heard if "failed" in one}

    @property
    def single(self) -> dict[str, str]:
        """The runs that were acknowledged, by call."""
        return {one["call"]: one["run"] for one in self.heard if "run" in one}

    @property
    def batches(self) -> dict[str, tuple[str, int]]:
        """The batches that were acknowledged, by call, with their sizes."""
        found = [one for one in self.heard if "batch" in one]
        return {one["call"]: (one["batch"], one["size"]) for one in found}


@dataclass
class Platforms:
    """Platform processes behind a balancer."""

    database: str
    balancer: Balancer
    started: list[Started]
    stack: ExitStack

    def kill(self, address: Address) -> None:
        """Kill the one at an address, as ``kill -9`` does."""
        for one in self.started:
            if one.address == address:
                one.end()

    def replace(self) -> None:
        """Start those that were killed again, on the ports that they had."""
        for n, one in enumerate(self.started):
            if one.process.poll() is not None:
                self.started[n] = Started(self.database, port=one.address[1])


@pytest.fixture(params=["sqlite", "postgres", "two on postgres"])
def platforms(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Platforms]:
    """One platform, or two on one database."""
    is_file = request.param == "sqlite"
    database = str(tmp_path / "platform.db") if is_file else postgres.empty_database()
    count = 2 if request.param.startswith("two") else 1
    with ExitStack() as stack:
        started = [Started(database) for _ in range(count)]
        balancer = stack.enter_context(Balancer([one.address for one in started]))
        found = Platforms(database, balancer, started, stack)
        stack.callback(lambda: [one.end() for one in found.started])
        yield found


def test_every_acknowledged_call_has_one_run_that_executes_once(
    platforms: Platforms, tmp_path: Path
) -> None:
    """Whatever a call was for: one run, one run for two calls with a key, twenty runs or hundreds.

    A patient client sees no failure at all; one that gave up has one run or none, and a whole batch or a part.
    """
    executed = tmp_path / "executed"
    worker = _worker(platforms, write_project(tmp_path, TASKS), executed)
    clients = [_client(platforms, version) for version in VERSIONS]
    for number, (moment, words, count) in enumerate(MOMENTS):
        wait = platforms.balancer.when(moment, words, count, platforms.kill)
        for client in clients:
            client.begin(number)
        wait(60)
        platforms.replace()
    for client in clients:
        client.end()
    with closing(platforms.started[0].client) as api:
        under_way = calls.list_page(status=["QUEUED", "DEQUEUED", "EXECUTING"])
        until(lambda: not api.send(under_way).data, 60, "the end of all runs")
    worker.close()
    for one in platforms.started:
        assert one.stop()[0] == 0

    with looking_into(platforms.database) as kept:
        made = _made(kept)
        for client in clients:
            _check(client, kept, made)
        assert kept.violations() == []
    assert Counter(executed.read_text().splitlines()) == Counter(made.keys())


def _worker(platforms: Platforms, folder: Path, executed: Path) -> Program:
    """Start a worker that writes down what it executes."""
    worker = Program("trigger_worker", cwd=folder)
    platforms.stack.callback(worker.kill)
    url, key = platforms.balancer.url, platforms.started[0].ready["secretKey"]
    worker.tell("configure", apiUrl=url, secretKey=key, projectRef=PROJECT)
    worker.event("loaded", worker.tell("load", env={"EXECUTED": str(executed)}))
    return worker


def _client(platforms: Platforms, version: str) -> Client:
    """Start an official client."""
    url, key = platforms.balancer.url, platforms.started[0].ready["secretKey"]
    client = Client(Official(version, url, key).start(CLIENT, name=version, large=LARGE))
    platforms.stack.callback(client.kill)
    return client


def _made(kept: Kept) -> dict[str, RunRow]:
    """Return the runs by the call that each was made for; each has ended well, in one attempt."""
    payloads = kept.payloads()
    made: dict[str, RunRow] = {}
    for run in kept.runs():
        call = json.loads(payloads[run.id] or "")["json"]["call"]
        assert call not in made, "two runs for one call"
        assert (run.status, run.attempt) == ("COMPLETED_SUCCESSFULLY", 1)
        made[call] = run
    return made


def _check(client: Client, kept: Kept, made: dict[str, RunRow]) -> None:
    """Compare what a client was told with what there is."""
    assert client.asked == {one["call"] for one in client.heard}
    assert [one for one in client.heard if not one.get("same", True)] == []
    assert [call for call in client.failed if " default " not in call] == []
    assert client.single == {call: made[call].id for call in client.single}
    for call, (batch_id, size) in client.batches.items():
        batch = kept.batch(batch_id)
        assert (batch.status, batch.run_count, batch.accepted) == ("COMPLETED", size, size)
        runs = [made[f"{call} {n}"] for n in range(size)]
        assert {run.batch_id for run in runs} == {batch_id}
        assert [run.batch_position for run in runs] == list(range(size))
