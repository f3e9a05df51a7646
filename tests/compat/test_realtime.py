"""The official SDK follows runs and streams under node; for the React hooks see ``test_browser``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.dev import Dev, write_project
from support.npm import Official

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("compat-realtime"),
    pytest.mark.timeout(600),
]

TASKS = """
import asyncio
from trigger_sdk import *

numbers = streams.define("numbers", int)

@task(isolation="reuse")
async def counting(count: int) -> int:
    async def some():
        for number in range(count):
            await asyncio.sleep(0.02)
            yield number
    metadata.set("state", "counting")
    return await numbers.pipe(some())

@task(isolation="reuse")
async def asking() -> object:
    return await streams.input("approval").receive()
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One session for all tests of this file."""
    dev = Dev(write_project(tmp_path_factory.mktemp("realtime"), TASKS))
    yield dev
    assert dev.stop() == 0


def test_a_run_is_followed_until_it_is_over(official: Official) -> None:
    """With the token of its handle alone; times are dates, states come in order."""
    got = official(
        """
        const handle = await tasks.trigger("counting", 10, {tags: ["a,b", "c"], metadata: {state: "new"}});
        const seen = [];
        await auth.withAuth({accessToken: handle.publicAccessToken}, async () => {
          for await (const run of runs.subscribeToRun(handle.id)) {
            seen.push({status: run.status, state: run.metadata?.state, tags: run.tags, payload: run.payload,
                       output: run.output, isDate: run.createdAt instanceof Date, isCompleted: run.isCompleted});
            if (run.finishedAt) break;
          }
        });
        return seen;
        """
    )
    assert [one["isCompleted"] for one in got] == [*[False] * (len(got) - 1), True]
    assert {"new", "counting"} >= {one["state"] for one in got}
    assert got[-1] == {
        "status": "COMPLETED",
        "state": "counting",
        "tags": ["a,b", "c"],
        "payload": 10,
        "output": 10,
        "isDate": True,
        "isCompleted": True,
    }


def test_columns_are_left_out_and_scopes_hold(official: Official) -> None:
    """A token of another run is refused."""
    got = official(
        """
        const mine = await tasks.trigger("counting", 1), other = await tasks.trigger("counting", 1);
        const real = globalThis.fetch;
        const refused = new Promise((resolve) => {
          globalThis.fetch = async (...args) => {
            const answer = await real(...args);
            if (!answer.ok) resolve(answer.status);
            return answer;
          };
        });
        await auth.withAuth({accessToken: other.publicAccessToken}, async () => {
          runs.subscribeToRun(mine.id).getReader().read().catch(() => null);
          await refused;
        });
        globalThis.fetch = real;
        for await (const run of runs.subscribeToRun(mine.id, {skipColumns: ["payload", "output"]})) {
          if (run.finishedAt) return {refused: await refused, payload: run.payload ?? "none", output: run.output ?? "none"};
        }
        """
    )
    assert got == {"refused": 403, "payload": "none", "output": "none"}


def test_tags_and_batches_are_followed(official: Official) -> None:
    """Runs that were there and runs that come."""
    got = official(
        """
        const tag = "tag-" + Date.now();
        const first = await tasks.trigger("counting", 1, {tags: [tag]});
        const made = [first.id], over = new Set();
        setTimeout(async () => made.push((await tasks.trigger("counting", 1, {tags: [tag]})).id), 500);
        for await (const run of runs.subscribeToRunsWithTag(tag)) {
          if (run.isCompleted) over.add(run.id);
          if (over.size === 2) break;
        }
        const items = [1, 2, 3].map((payload) => ({id: "counting", payload}));
        const together = await batch.trigger(items), outputs = {};
        for await (const run of runs.subscribeToBatch(together.batchId)) {
          if (run.isCompleted) outputs[run.payload] = run.output;
          if (Object.keys(outputs).length === 3) break;
        }
        return {tagged: made.every((id) => over.has(id)), outputs};
        """
    )
    assert got == {"tagged": True, "outputs": {"1": 1, "2": 2, "3": 3}}


def test_a_run_is_followed_with_its_streams(official: Official) -> None:
    """The row names them, and their values come between the states."""
    got = official(
        """
        const handle = await tasks.trigger("counting", 20), values = [];
        let over = false;
        for await (const part of runs.subscribeToRun(handle.id).withStreams()) {
          if (part.type === "numbers") values.push(part.chunk);
          else over = part.run.isCompleted;
          if (over && values.length === 20) break;
        }
        return values;
        """
    )
    assert got == list(range(20))


def test_a_stream_is_read_by_its_name(official: Official) -> None:
    """It ends with the run."""
    got = official(
        """
        const handle = await tasks.trigger("counting", 20), values = [];
        for await (const value of await streams.read(handle.id, "numbers")) values.push(value);
        return values;
        """
    )
    assert got == list(range(20))


def test_a_run_receives_what_it_is_sent(official: Official) -> None:
    """With the token of its handle."""
    got = official(
        """
        const handle = await tasks.trigger("asking", undefined);
        await auth.withAuth({accessToken: handle.publicAccessToken}, () =>
          streams.input({id: "approval"}).send(handle.id, {approved: true, by: "Ada"}));
        return (await runs.poll(handle.id, {pollIntervalMs: 100})).output;
        """
    )
    assert got == {"approved": True, "by": "Ada"}
