"""The official clients follow runs and streams: the SDK under node, the React hooks in a document of jsdom."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

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

@task(isolation="reuse")
async def approval(token: str) -> object:
    return await wait.for_token(token).unwrap()
"""

PAGE = """
import { JSDOM } from "jsdom";
const dom = new JSDOM("<div id='root'></div>", {url: "http://127.0.0.1/", pretendToBeVisual: true});
globalThis.window = dom.window;
globalThis.document = dom.window.document;
const { createElement, useEffect } = await import("react");
const { createRoot } = await import("react-dom/client");
const hooks = await import("@trigger.dev/react-hooks");
const { auth, tasks, batch, wait } = await import("@trigger.dev/sdk");
const baseURL = process.env.TRIGGER_API_URL;
const seen = [];
const shown = (use) => new Promise((resolve, reject) => {
  const root = createRoot(document.getElementById("root"));
  const Page = () => {
    const found = use();
    useEffect(() => { if (found !== undefined) { root.unmount(); resolve(found); } });
    return createElement("p", null, JSON.stringify(found ?? null));
  };
  setTimeout(() => reject(new Error("nothing was shown: " + JSON.stringify(seen))), 30000);
  root.render(createElement(Page));
});
const answer = await (async () => { CODE })();
console.log(JSON.stringify(answer ?? null));
process.exit(0);
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One session for all tests of this file."""
    dev = Dev(write_project(tmp_path_factory.mktemp("realtime"), TASKS))
    yield dev
    assert dev.stop() == 0


def _page(official: Official, code: str) -> Any:
    """Run code that shows React components, and return what it returns."""
    done = official.run(PAGE.replace("CODE", code))
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout.splitlines()[-1])


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


def test_hooks_show_a_run_its_stream_and_runs_with_a_tag(official: Official) -> None:
    """``useRealtimeRun``, ``useRealtimeStream``, ``useRealtimeRunsWithTag``, ``useRealtimeBatch``."""
    got = _page(
        official,
        """
        const tag = "hook-" + Date.now();
        const handle = await tasks.trigger("counting", 10, {tags: [tag]});
        const accessToken = handle.publicAccessToken;
        const run = await shown(() => {
          const { run, error } = hooks.useRealtimeRun(handle.id, {accessToken, baseURL});
          seen.push(error?.message ?? run?.status);
          return run?.isCompleted ? run.output : undefined;
        });
        const parts = await shown(() => {
          const { parts, error } = hooks.useRealtimeStream(handle.id, "numbers", {accessToken, baseURL});
          seen.push(error?.message ?? parts?.length);
          return parts?.length === 10 ? parts : undefined;
        });
        const tags = await auth.createPublicToken({scopes: {read: {tags: [tag]}}});
        const tagged = await shown(() => {
          const { runs, error } = hooks.useRealtimeRunsWithTag(tag, {accessToken: tags, baseURL});
          seen.push(error?.message ?? runs?.length);
          return runs?.length === 1 ? runs[0].id === handle.id : undefined;
        });
        const together = await batch.trigger([{id: "counting", payload: 1}, {id: "counting", payload: 2}]);
        const both = await shown(() => {
          const { runs, error } = hooks.useRealtimeBatch(together.batchId, {accessToken: together.publicAccessToken, baseURL});
          seen.push(error?.message ?? runs?.length);
          return runs?.filter((one) => one.isCompleted).length === 2 ? runs.map((one) => one.output).sort() : undefined;
        });
        return {run, parts, tagged, both};
        """,
    )
    assert got == {"run": 10, "parts": list(range(10)), "tagged": True, "both": [1, 2]}


def test_hooks_trigger_complete_tokens_and_send_input(official: Official) -> None:
    """``useTaskTrigger``, ``useWaitToken``, ``useInputStreamSend``."""
    got = _page(
        official,
        """
        const trigger = await auth.createTriggerPublicToken("asking", {expirationTime: "31m"});
        const handle = await shown(() => {
          const { submit, handle, error } = hooks.useTaskTrigger("asking", {accessToken: trigger, baseURL});
          useEffect(() => submit(undefined), []);
          seen.push(error?.message);
          return handle;
        });
        const sent = await shown(() => {
          const { send, isReady, error } = hooks.useInputStreamSend("approval", handle.id, {accessToken: handle.publicAccessToken, baseURL});
          useEffect(() => { if (isReady !== false) send({ok: 1}); }, [isReady]);
          const { run, error: failed } = hooks.useRealtimeRun(handle.id, {accessToken: handle.publicAccessToken, baseURL});
          seen.push(error?.message ?? failed?.message ?? run?.status);
          return run?.isCompleted ? run.output : undefined;
        });
        const token = await wait.createToken({timeout: "1h"});
        const waiting = await tasks.trigger("approval", token.id);
        const completed = await shown(() => {
          const { complete, isReady, error } = hooks.useWaitToken(token.id, {accessToken: token.publicAccessToken, baseURL});
          useEffect(() => { if (isReady !== false) complete({yes: true}); }, [isReady]);
          const { run, error: failed } = hooks.useRealtimeRun(waiting.id, {accessToken: waiting.publicAccessToken, baseURL});
          seen.push(error?.message ?? failed?.message ?? run?.status);
          return run?.isCompleted ? run.output : undefined;
        });
        return {sent, completed};
        """,
    )
    assert got == {"sent": {"ok": 1}, "completed": {"yes": True}}
