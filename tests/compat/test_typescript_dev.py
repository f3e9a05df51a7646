"""The official ``trigger.dev dev``, unmodified, executes a TypeScript project beside Python tasks.

The tests of one version share a session and run in the order they stand in.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.dev import Dev, until, write_project
from support.npm import VERSIONS
from support.traces import outline
from support.typescript import TypeScript, ask
from trigger_core import packet
from trigger_core.schemas.runs import RunDetail

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("compat-dev"), pytest.mark.timeout(300)]

PYTHON = """
from trigger_sdk import *

@task
async def py_double(n: int) -> int:
    return 2 * n

@task(retry=Retry(max_attempts=1))
async def py_fails() -> None:
    raise ValueError("no luck in Python")

@task
async def py_asks(task: str, payload: dict) -> object:
    result = await tasks.trigger_and_wait(task, payload)
    return {"ok": True, "output": result.output} if result.ok else {"ok": False, "error": str(result.error)}
"""


@pytest.fixture(scope="module", params=VERSIONS)
def ts(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TypeScript]:
    """A session of the official command line beside one of ours, on one platform."""
    folder = tmp_path_factory.mktemp("typescript")
    session = Dev(write_project(folder / "python", PYTHON))
    variable = {"name": "SECRET_OF_THE_ENVIRONMENT", "value": "kept"}
    ask(session, "POST", "/api/v1/projects/proj_abcdefghijklmnopqrst/envvars/dev", variable)
    started = TypeScript(request.param, session, folder / "project")
    yield started
    started.end()
    assert session.stop() == 0


@pytest.fixture(scope="module")
def later(ts: TypeScript) -> str:
    """A run whose retry is far enough away to go through the queue; it is looked at in the end."""
    return ts.session.trigger("ts-later", {})


def test_a_task_is_given_what_it_needs_and_its_output_arrives(ts: TypeScript, later: str) -> None:
    payload = (
        '{"json":{"name":"Ada","at":"2026-01-01T00:00:00.000Z"},"meta":{"values":{"at":["Date"]}}}'
    )
    got = ts.output_of("ts-hello", payload, payload_type=packet.SUPERJSON, tags=["vip"])

    assert got["greeting"] == "Hello, Ada"
    assert (got["isDate"], got["at"]) == (True, "2026-01-01T00:00:00.000Z")
    assert (got["attempt"], got["runVersion"]) == (1, ts.versions[-1])
    assert (got["tags"], got["queue"], got["environment"]) == (
        ["vip"],
        "task/ts-hello",
        "DEVELOPMENT",
    )
    assert got["secret"] == "kept"


def test_an_attempt_speaks_for_its_run_with_its_token(ts: TypeScript) -> None:
    run = ts.session.result(ts.session.trigger("ts-reads-itself", {}))
    assert run.output == {"status": 200, "id": run.id}


def test_a_task_without_payload_and_output(ts: TypeScript) -> None:
    assert ts.output_of("ts-nothing") is None


def test_an_attempt_that_failed_is_tried_again_at_once(ts: TypeScript) -> None:
    run = ts.session.run("ts-third-time", {})

    assert (run.status, run.output, run.attempt_count) == ("COMPLETED", 3, 3)


@pytest.mark.parametrize(
    ("how", "status", "message", "name"),
    [
        ("error", "FAILED", "a type error", "TypeError"),
        ("text", "FAILED", "only text", None),
        ("object", "FAILED", '{"code":42}', None),
        ("abort", "FAILED", "useless to try again", "AbortTaskRunError"),
        ("exit", "CRASHED", None, None),
    ],
)
def test_every_kind_of_failure_is_told(
    ts: TypeScript, how: str, status: str, message: str | None, name: str | None
) -> None:
    run = ts.session.run("ts-fails", {"how": how})

    assert run.status == status
    assert run.error is not None
    assert message is None or run.error.message == message
    assert run.error.name == name


def test_a_wait_for_a_while(ts: TypeScript) -> None:
    """The run says that it waits; the socket tells the session that it is over."""
    run_id = ts.session.trigger("ts-sleeps", {"seconds": 6})
    until(lambda: ts.session.get(run_id).status == "WAITING")

    assert 5_900 < ts.session.result(run_id).output < 9_000


def test_a_token_that_is_completed_is_waited_for_twice(ts: TypeScript) -> None:
    token = ts.ask("POST", "/api/v1/waitpoints/tokens", {})["id"]
    run_id = ts.session.trigger("ts-approval", {"token": token})
    until(lambda: ts.session.get(run_id).status == "WAITING")
    data = {"data": {"answer": "yes"}}
    ts.ask("POST", f"/api/v1/waitpoints/tokens/{token}/complete", data)
    answer = {"answer": "yes"}

    assert ts.session.result(run_id).output == {"ok": True, "first": answer, "again": answer}
    assert ts.output_of("ts-approval", {"token": token})["again"] == answer


def test_a_token_that_runs_out_of_time(ts: TypeScript) -> None:
    token = ts.ask("POST", "/api/v1/waitpoints/tokens", {"timeout": "1s"})["id"]

    assert ts.output_of("ts-approval", {"token": token}) == {
        "ok": False,
        "name": "WaitpointTimeoutError",
    }


def test_children_that_are_waited_for(ts: TypeScript) -> None:
    """Results, errors, and a child that a key finds, twice."""
    assert ts.output_of("ts-parent", {"n": 3}) == {"one": 6, "again": None, "bad": "a type error"}
    keyed = {"n": 4, "key": f"k-{ts.version}"}
    assert ts.output_of("ts-parent", keyed) == {"one": 8, "again": 8, "bad": "a type error"}
    assert ts.output_of("ts-parent", keyed)["again"] == 8


def test_batches_that_are_waited_for(ts: TypeScript) -> None:
    """Each result in the place of its item."""
    assert ts.output_of("ts-family", {"ns": [1, 2, 3, 4]}) == {
        "all": [2, 4, 6, 8],
        "mixed": [100, "failed"],
    }


def test_more_parents_wait_than_children_could_run(ts: TypeScript) -> None:
    """A waiting run keeps its process and gives its slot back, so nobody is locked out."""
    ids = [ts.session.trigger("ts-foreign", {"task": "py-double", "payload": n}) for n in range(8)]

    assert [ts.session.result(run_id, 60).output["output"] for run_id in ids] == [
        2 * n for n in range(8)
    ]


def test_metadata_of_the_run_and_from_its_child(ts: TypeScript) -> None:
    """What was not sent before comes with the end of the run, once."""
    run = ts.session.run("ts-notes", {})

    assert run.output["child"]
    assert run.metadata == {
        "step": 1,
        "lines": ["a"],
        "count": 3,
        "child": "was here",
        "grandchildren": 1,
        "last": "written at the end",
    }
    assert "noted" in run.tags


def test_a_run_is_canceled(ts: TypeScript) -> None:
    """Its process ends, and the run says when."""
    run_id = ts.session.trigger("ts-endless", {"seconds": 100})
    until(lambda: (ts.session.get(run_id).metadata or {}).get("running"))
    ts.session.cancel(run_id)

    def ended() -> RunDetail | None:
        run = ts.session.get(run_id)
        return run if run.finished_at is not None else None

    assert until(ended, 10).status == "CANCELED"
    until(lambda: "canceled, cleaning up" in ts.text)


def test_a_run_that_takes_too_long(ts: TypeScript) -> None:
    assert ts.session.run("ts-busy", {}).status == "TIMED_OUT"


def test_a_schedule_fires(ts: TypeScript) -> None:
    """The one that the code declares is there; one that ticks faster shows what the task is given."""
    declared = ts.ask("GET", "/api/v1/schedules")["data"]
    assert [(one["task"], one["timezone"]) for one in declared] == [("ts-ticking", "Europe/Berlin")]
    asked = {"task": "ts-ticking", "every": "1s", "deduplicationKey": "fast"}
    made = ts.ask("POST", "/api/v1/schedules", asked)

    def fired() -> RunDetail | None:
        listed = ts.ask(
            "GET", f"/api/v1/runs?filter[schedule]={made['id']}&filter[status]=COMPLETED"
        )
        return ts.session.get(listed["data"][0]["id"]) if listed["data"] else None

    output = until(fired, 20).output
    ts.ask("DELETE", f"/api/v1/schedules/{made['id']}")
    assert (output["schedule"], output["isDate"], output["upcoming"]) == (made["id"], True, 10)


def test_the_sdk_reads_from_inside_a_task(ts: TypeScript) -> None:
    assert ts.output_of("ts-lists", {}) == 1


def test_tasks_of_two_languages_call_each_other(ts: TypeScript) -> None:
    """And wait for each other, with results and errors, and are the other's child all the way down."""
    assert ts.output_of("ts-foreign", {"task": "py-double", "payload": 21}) == {
        "ok": True,
        "output": 42,
    }
    failed = ts.output_of("ts-foreign", {"task": "py-fails", "payload": {}})
    assert (failed["ok"], failed["error"]) == (False, "no luck in Python")
    assert ts.output_of("py-asks", {"task": "ts-double", "payload": {"n": 4}})["output"] == 8
    assert (
        "a type error"
        in ts.output_of("py-asks", {"task": "ts-fails", "payload": {"how": "error"}})["error"]
    )
    deep = {"task": "ts-foreign", "payload": {"task": "py-double", "payload": 5}}
    assert ts.output_of("py-asks", deep)["output"]["output"] == 10


def test_what_is_triggered_within_a_span_hangs_below_it(ts: TypeScript) -> None:
    """Below the span that the SDK opens for the call; waited for or not, alone or in a batch."""
    run = ts.session.run("ts-within", {"n": 1})
    assert run.status == "COMPLETED"
    names = ("outer", "inner", "ts-double", "py-double")

    def told() -> list[str] | None:
        root = ts.ask("GET", f"/api/v1/runs/{run.id}/trace")["trace"]["rootSpan"]
        found = sorted(outline(root, *names))
        return found if {"outer", "outer > inner"} <= set(found) else None

    assert until(told) == [
        "outer",
        "outer > inner",
        "outer > inner > ts-double",
        "outer > py-double",
        *["outer > ts-double"] * 4,
        "ts-double",
    ]
    events = ts.ask("GET", f"/api/v1/runs/{run.id}/events")["events"]
    [outer] = [one for one in events if one["message"] == "outer"]
    assert outer["properties"] == {"n": 1}
    lines = {one["message"]: one for one in events if one["kind"] == "LOG"}
    assert {lines[text]["parentId"] for text in ("a line", "printed")} == {outer["spanId"]}
    assert lines["a line"]["properties"] == {"n": 1}
    assert not any(one["isPartial"] for one in events)
    attempts = [one["entityType"] for one in events if one["message"] == "Attempt 1"]
    assert attempts == ["attempt"]


def test_a_saved_file_is_a_new_version_and_leaves_the_other_language_alone(ts: TypeScript) -> None:
    before = ts.versions[-1]
    version = ts.save('VERSION = "one"', 'VERSION = "two"')
    got = ts.output_of("ts-hello", {"name": "x"})

    assert version != before
    assert (got["version"], got["runVersion"]) == ("two", version)
    assert ts.output_of("py-double", 1) == 2


def test_a_retry_that_is_far_away_came_through_the_queue(ts: TypeScript, later: str) -> None:
    run = ts.session.result(later, 60)

    assert (run.status, run.output, run.attempt_count) == ("COMPLETED", 2, 2)


def test_the_run_of_a_session_that_was_killed_goes_on_in_the_next_one(ts: TypeScript) -> None:
    """Its watchdog says so at once; nobody waits for a lease to run out."""
    run_id = ts.session.trigger("ts-survivor", {})
    until(lambda: ts.session.get(run_id).status == "EXECUTING")
    ts.kill()
    until(lambda: ts.session.get(run_id).status == "QUEUED", 15, "the end of the lease")
    ts.start()

    assert ts.session.result(run_id).output == 2


def test_it_ends_when_it_is_told_to(ts: TypeScript) -> None:
    assert ts.stop() == 0
