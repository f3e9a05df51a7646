"""The official TypeScript SDK, unmodified: triggering, batches, reads, steering, waits, schedules, queues, tokens."""

from __future__ import annotations

import httpx
import pytest

from support.dev import Dev
from support.npm import VERSIONS, Official

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("compat"), pytest.mark.timeout(600)]


def test_a_run_is_triggered_polled_and_retrieved(official: Official):
    got = official(
        """
        const handle = await tasks.trigger("hello", {message: "Ada"});
        const run = await runs.poll(handle.id, {pollIntervalMs: 100});
        return {handle: handle.id, token: handle.publicAccessToken.split(".").length, run};
        """
    )
    run = got["run"]
    assert run["id"] == got["handle"]
    assert got["token"] == 3
    assert (run["status"], run["output"]) == ("COMPLETED", {"greeting": "Hello, Ada!"})
    assert run["isSuccess"]
    assert run["payload"] == {"message": "Ada"}
    assert run["taskIdentifier"] == "hello"
    assert run["attemptCount"] == 1


def test_every_option_of_a_trigger_arrives(official: Official):
    got = official(
        """
        const handle = await tasks.trigger("hello", {message: "x"}, {
          delay: "1h", ttl: "2h", tags: ["vip", "user:7"], metadata: {step: 1, nested: {a: [1]}},
          idempotencyKey: "options-" + given.version, idempotencyKeyTTL: "1h", machine: "small-2x",
          maxAttempts: 5, maxDuration: 60, priority: 10, queue: "narrow", concurrencyKey: "tenant-1",
        });
        const again = await tasks.trigger("hello", {message: "y"}, {idempotencyKey: "options-" + given.version});
        const run = await runs.retrieve(handle.id);
        await runs.cancel(handle.id);
        return {handle: handle.id, again: again.id, run};
        """,
        version=official.version,
    )
    run = got["run"]
    assert got["again"] == got["handle"]
    assert run["status"] == "DELAYED"
    assert run["tags"] == ["vip", "user:7"]
    assert run["metadata"] == {"step": 1, "nested": {"a": [1]}}
    assert run["idempotencyKey"] == f"options-{official.version}"
    assert run["ttl"] == "2h"
    assert "delayedUntil" in run


def test_values_that_json_has_no_word_for_arrive_as_text(official: Official):
    got = official(
        """
        const handle = await tasks.trigger("echo", {payload: {at: new Date(0), big: 12n, gone: undefined, set: new Set([1])}});
        return (await runs.poll(handle.id, {pollIntervalMs: 100})).output;
        """
    )
    assert got["payload"]["at"] == "1970-01-01T00:00:00.000Z"
    assert got["payload"]["set"] == [1]


def test_a_failure_is_told_with_name_message_and_attempts(official: Official):
    got = official(
        """
        const handle = await tasks.trigger("broken", {});
        return await runs.poll(handle.id, {pollIntervalMs: 100});
        """
    )
    assert (got["status"], got["isFailed"]) == ("FAILED", True)
    assert got["error"]["message"] == "no luck"
    assert got["error"]["name"] == "ValueError"


def test_a_task_that_succeeds_at_its_third_attempt_says_so(official: Official):
    got = official(
        """
        const handle = await tasks.trigger("third-time", {});
        return await runs.poll(handle.id, {pollIntervalMs: 100});
        """
    )
    assert (got["status"], got["output"], got["attemptCount"]) == ("COMPLETED", 3, 3)


def test_a_batch_is_streamed_sealed_and_retrieved(official: Official):
    got = official(
        """
        const handle = await tasks.batchTrigger("double", [1, 2, 3].map((n) => ({payload: n, options: {tags: ["b"]}})));
        const mixed = await batch.trigger([{id: "double", payload: 4}, {id: "hello", payload: {message: "b"}}]);
        const ids = [...(await batch.retrieve(handle.batchId)).runs, ...(await batch.retrieve(mixed.batchId)).runs];
        const ended = await Promise.all(ids.map((id) => runs.poll(id, {pollIntervalMs: 100})));
        const seen = await batch.retrieve(handle.batchId);
        return {count: handle.runCount, outputs: ended.map((run) => run.output), status: seen.status, runs: seen.runs.length};
        """
    )
    assert got["count"] == 3
    assert got["runs"] == 3
    assert got["outputs"] == [2, 4, 6, 8, {"greeting": "Hello, b!"}]
    assert got["status"] == "COMPLETED"


def test_a_batch_of_five_hundred_is_one_call_for_the_user(official: Official):
    got = official(
        """
        const items = Array.from({length: 500}, (_, n) => ({payload: n}));
        const handle = await tasks.batchTrigger("double", items, {idempotencyKey: "large-" + given.version});
        const again = await tasks.batchTrigger("double", items, {idempotencyKey: "large-" + given.version});
        return {same: handle.batchId === again.batchId, runs: (await batch.retrieve(handle.batchId)).runs.length};
        """,
        version=official.version,
    )
    assert got == {"same": True, "runs": 500}


def test_runs_are_listed_by_filter_and_page_by_page(official: Official):
    tag = f"listed-{official.version}"
    got = official(
        """
        const handles = [];
        for (let n = 0; n < 5; n++) handles.push(await tasks.trigger("double", n, {tags: [given.tag]}));
        for (const handle of handles) await runs.poll(handle.id, {pollIntervalMs: 50});
        const all = [];
        for await (const run of runs.list({tag: given.tag, limit: 2})) all.push(run);
        const first = await runs.list({tag: given.tag, limit: 2, status: ["COMPLETED"], taskIdentifier: "double", period: "1h"});
        const second = await first.getNextPage();
        const back = await second.getPreviousPage();
        return {all: all.map((run) => run.id), made: handles.map((handle) => handle.id),
                first: first.data.map((run) => run.id), second: second.data.map((run) => run.id),
                back: back.data.map((run) => run.id), statuses: all.map((run) => run.status)};
        """,
        tag=tag,
    )
    newest = got["made"][::-1]
    assert got["all"] == newest
    assert got["first"] == newest[:2]
    assert got["second"] == newest[2:4]
    assert got["back"] == newest[:2]
    assert set(got["statuses"]) == {"COMPLETED"}


def test_a_run_is_canceled_replayed_rescheduled_and_tagged(official: Official):
    got = official(
        """
        const handle = await tasks.trigger("hello", {message: "later"}, {delay: "1h"});
        const moved = await runs.reschedule(handle.id, {delay: "2h"});
        await runs.cancel(handle.id);
        const canceled = await runs.retrieve(handle.id);
        const replayed = await runs.replay(handle.id);
        const done = await runs.poll(replayed.id, {pollIntervalMs: 100});
        return {moved: moved.status, later: moved.delayedUntil > handle.createdAt, canceled: canceled.status,
                other: replayed.id !== handle.id, output: done.output};
        """
    )
    assert got["moved"] == "DELAYED"
    assert got["canceled"] == "CANCELED"
    assert got["other"]
    assert got["output"] == {"greeting": "Hello, later!"}


def test_an_idempotency_key_is_scoped_hashed_and_reset(official: Official):
    got = official(
        """
        const key = await idempotencyKeys.create("order-" + given.version, {scope: "global"});
        const one = await tasks.trigger("double", 1, {idempotencyKey: key});
        const two = await tasks.trigger("double", 2, {idempotencyKey: key});
        const reset = await idempotencyKeys.reset("double", "order-" + given.version, {scope: "global"});
        const three = await tasks.trigger("double", 3, {idempotencyKey: key});
        return {one: one.id, two: two.id, three: three.id, reset};
        """,
        version=official.version,
    )
    assert got["one"] == got["two"]
    assert got["three"] != got["one"]
    assert len(got["reset"]["id"]) == 64


def test_debounced_triggers_make_one_run(official: Official):
    got = official(
        """
        const options = {debounce: {key: "d-" + given.version, delay: "1h", mode: "trailing"}};
        const one = await tasks.trigger("hello", {message: "first"}, options);
        const two = await tasks.trigger("hello", {message: "second"}, options);
        const run = await runs.retrieve(one.id);
        await runs.cancel(one.id);
        return {same: one.id === two.id, payload: run.payload};
        """,
        version=official.version,
    )
    assert got == {"same": True, "payload": {"message": "second"}}


def test_a_token_is_waited_for_and_completed(official: Official):
    got = official(
        """
        const token = await wait.createToken({timeout: "10m", tags: ["approval"], idempotencyKey: "t-" + given.version});
        const again = await wait.createToken({timeout: "10m", idempotencyKey: "t-" + given.version});
        const handle = await tasks.trigger("approval", token.id);
        const before = await wait.retrieveToken(token.id);
        await wait.completeToken(token.id, {approved: true, by: "Ada"});
        const run = await runs.poll(handle.id, {pollIntervalMs: 100});
        const after = await wait.retrieveToken(token.id);
        const listed = [];
        for await (const one of wait.listTokens({tags: ["approval"], status: ["COMPLETED"]})) listed.push(one.id);
        return {same: token.id === again.id, cached: again.isCached, before: before.status, tags: before.tags,
                output: run.output, after: after.status, value: after.output, listed: listed.includes(token.id)};
        """,
        version=official.version,
    )
    assert got == {
        "same": True,
        "cached": True,
        "before": "WAITING",
        "tags": ["approval"],
        "output": {"approved": True, "by": "Ada"},
        "after": "COMPLETED",
        "value": {"approved": True, "by": "Ada"},
        "listed": True,
    }


def test_a_tokens_callback_address_completes_it_for_anybody_who_has_it(official: Official):
    got = official("return await wait.createToken({timeout: '10m'});")
    assert httpx.post(got["url"], json={"from": "a webhook"}).status_code == 200
    after = official("return await wait.retrieveToken(given.id);", id=got["id"])
    assert after["output"] == {"from": "a webhook"}


def test_schedules_are_created_changed_listed_and_deleted(official: Official):
    got = official(
        """
        const made = await schedules.create({task: "ticking", cron: "0 9 * * 1-5", timezone: "Europe/Berlin",
          externalId: "customer-7", deduplicationKey: "s-" + given.version});
        const again = await schedules.create({task: "ticking", cron: "0 10 * * 1-5", deduplicationKey: "s-" + given.version});
        const changed = await schedules.update(made.id, {task: "ticking", cron: "15 3 * * 1", timezone: "Asia/Tokyo"});
        const off = await schedules.deactivate(made.id);
        const on = await schedules.activate(made.id);
        const read = await schedules.retrieve(made.id);
        const listed = await schedules.list({perPage: 50});
        const gone = await schedules.del(made.id);
        const after = await failure(() => schedules.retrieve(made.id));
        const zones = await schedules.timezones();
        return {made, same: made.id === again.id, changed, off: off.active, on: on.active, read,
                listed: listed.data.map((one) => one.id), gone, after, zones: zones.timezones.length};
        """,
        version=official.version,
    )
    assert got["same"]
    assert got["made"]["externalId"] == "customer-7"
    assert got["made"]["generator"]["expression"] == "0 9 * * 1-5"
    assert got["changed"]["timezone"] == "Asia/Tokyo"
    assert (got["off"], got["on"]) == (False, True)
    assert got["read"]["generator"]["expression"] == "15 3 * * 1"
    assert "nextRun" in got["read"]
    assert got["made"]["id"] in got["listed"]
    assert got["after"]["name"] == "NotFoundError"
    assert got["zones"] > 300


def test_queues_are_listed_paused_and_given_another_limit(official: Official):
    got = official(
        """
        const listed = await queues.list({perPage: 50});
        const one = await queues.retrieve({type: "custom", name: "narrow"});
        const task = await queues.retrieve({type: "task", name: "hello"});
        const paused = await queues.pause({type: "custom", name: "narrow"});
        const resumed = await queues.resume({type: "custom", name: "narrow"});
        const wide = await queues.overrideConcurrencyLimit({type: "custom", name: "narrow"}, 7);
        const reset = await queues.resetConcurrencyLimit({type: "custom", name: "narrow"});
        return {names: listed.data.map((queue) => queue.name), one, task: task.type, paused: paused.paused,
                resumed: resumed.paused, wide: wide.concurrencyLimit, reset: reset.concurrencyLimit};
        """
    )
    assert {"narrow", "hello"} <= set(got["names"])
    assert (got["one"]["type"], got["one"]["concurrencyLimit"]) == ("custom", 2)
    assert got["task"] == "task"
    assert (got["paused"], got["resumed"]) == (True, False)
    assert (got["wide"], got["reset"]) == (7, 2)


def test_a_public_token_may_do_what_its_scopes_say_and_nothing_else(official: Official):
    got = official(
        """
        const mine = await tasks.trigger("hello", {message: "mine"}, {tags: ["tenant-" + given.version]});
        const other = await tasks.trigger("hello", {message: "other"});
        const as = (accessToken, call) => failure(() => auth.withAuth({accessToken}, call));
        const byRun = await auth.createPublicToken({scopes: {read: {runs: [mine.id]}}, expirationTime: "1h"});
        const byTag = await auth.createPublicToken({scopes: {read: {tags: ["tenant-" + given.version]}}});
        const trigger = await auth.createTriggerPublicToken("hello", {expirationTime: given.life});
        const status = (answer) => answer.status ?? "ok";
        const once = await as(trigger, () => tasks.trigger("hello", {message: "once"}));
        return {
          mine: status(await as(byRun, () => runs.retrieve(mine.id))),
          other: status(await as(byRun, () => runs.retrieve(other.id))),
          handle: status(await as(mine.publicAccessToken, () => runs.retrieve(mine.id))),
          tag: status(await as(byTag, () => runs.retrieve(mine.id))),
          tagOther: status(await as(byTag, () => runs.retrieve(other.id))),
          cancel: status(await as(byRun, () => runs.cancel(mine.id))),
          list: status(await as(byRun, () => runs.list())),
          once: "answered" in once,
          twice: status(await as(trigger, () => tasks.trigger("hello", {message: "twice"}))),
          wrongTask: status(await as(await auth.createTriggerPublicToken("hello", {expirationTime: "3h"}), () => tasks.trigger("double", 1))),
          garbage: status(await as(byRun + "x", () => runs.retrieve(mine.id))),
        };
        """,
        version=official.version,
        life=f"{VERSIONS.index(official.version) + 20}m",
    )
    assert got["once"] is True
    assert got["handle"] == got["mine"] == got["tag"] == "ok"
    assert got["other"] == got["tagOther"] == got["cancel"] == 403
    assert got["list"] in {401, 403}
    assert got["twice"] == 422
    assert got["wrongTask"] == 403
    assert got["garbage"] == 401


def test_errors_have_the_classes_the_client_knows(official: Official):
    got = official(
        """
        const missing = await failure(() => runs.retrieve("run_doesnotexist", {retry: {maxAttempts: 1}}));
        const denied = await failure(() => auth.withAuth({accessToken: "tr_dev_wrong"}, () => runs.list()));
        const invalid = await failure(() => tasks.trigger("hello", {}, {tags: Array.from({length: 11}, (_, n) => `tag-${n}`)}));
        return [missing, denied, invalid].map((one) => [one.name, one.status]);
        """
    )
    assert got == [
        ["NotFoundError", 404],
        ["AuthenticationError", 401],
        ["UnprocessableEntityError", 422],
    ]


def test_a_client_that_repeats_a_call_whose_answer_was_lost_gets_the_same_run(
    official: Official, session: Dev
):
    got = official(
        """
        const real = globalThis.fetch;
        let lost = 0;
        globalThis.fetch = async (...args) => {
          const answer = await real(...args);
          if (String(args[0]).endsWith("/trigger") && lost++ === 0) throw new TypeError("fetch failed");
          return answer;
        };
        const tag = "lost-" + given.version + "-" + Date.now();
        const handle = await tasks.trigger("hello", {message: "once"}, {tags: [tag]});
        const made = [];
        for await (const run of runs.list({tag})) made.push(run.id);
        return {handle: handle.id, made, lost};
        """,
        version=official.version,
    )
    assert got["lost"] == 2
    assert got["made"] == [got["handle"]]
