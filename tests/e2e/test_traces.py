"""Spans of Python tasks through every process: what runs within a span hangs below it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from support.dev import Dev, until, write_project
from support.traces import outline, spans

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("traces")]

TASKS = """
import sys
from trigger_sdk import *

@task(isolation="reuse")
async def child(n: int) -> int:
    with logger.span("in the child"):
        return n

@task
async def approval(token: str) -> str:
    return await wait.for_token(token).unwrap()

@task
async def parent() -> bool:
    with logger.span("outer", order=7) as span:
        with logger.span("inner"):
            await child.trigger_and_wait(1)
        await child.batch_trigger_and_wait([2])
        await child.trigger(3)
        await child.batch_trigger([4])
        span.set_attribute("done", True)
        span.add_event("paid", {"amount": 9.5})
        logger.info("in the outer")
    await child.trigger_and_wait(5)
    return any(name.startswith("opentelemetry") for name in sys.modules)

@task
def blocking() -> None:
    with logger.span("within"):
        child.trigger_and_wait_sync(6)
        child.trigger_sync(7)
        batch.trigger_and_wait_sync([child.item(8)])

@task
async def waiting(token: str) -> str:
    with logger.span("while it waits"):
        return await approval.trigger_and_wait(token).unwrap()

@task(retry=Retry(max_attempts=1))
def fails() -> None:
    with logger.span("bad"):
        raise ValueError("no luck")
"""


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One session for the tests of this module."""
    session = Dev(write_project(tmp_path_factory.mktemp("traces"), TASKS))
    yield session
    assert session.stop() == 0


def _ask(dev: Dev, path: str, body: Any = None) -> Any:
    known = dev.session
    answer = httpx.request(
        "GET" if body is None else "POST",
        known["apiUrl"] + path,
        json=body,
        headers={"authorization": f"Bearer {known['secretKey']}"},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def _root(dev: Dev, run_id: str) -> dict[str, Any]:
    return dict(_ask(dev, f"/api/v1/runs/{run_id}/trace")["trace"]["rootSpan"])


def _with(dev: Dev, run_id: str, *names: str) -> dict[str, Any]:
    """Wait for spans: they come beside the end of the run."""

    def there() -> dict[str, Any] | None:
        root = _root(dev, run_id)
        found = [one["data"]["message"] for one in spans(root)]
        return root if all(found.count(name) >= names.count(name) for name in names) else None

    root: dict[str, Any] = until(there, what=f"{names} of {run_id}")
    return root


def test_a_child_hangs_below_the_span_in_which_it_was_triggered(dev: Dev) -> None:
    """Waited for or not, alone or in a batch, with nothing installed for it; the page shows it too."""
    run = dev.run("parent")
    assert run.output is False
    names = ("outer", "inner", "in the child", "child")
    root = _with(dev, run.id, "outer", "inner", *["child"] * 5, *["in the child"] * 3)

    assert sorted(set(outline(root, *names))) == [
        "child",
        "child > in the child",
        "outer",
        "outer > child",
        "outer > child > in the child",
        "outer > inner",
        "outer > inner > child",
        "outer > inner > child > in the child",
    ]
    assert outline(root, *names).count("outer > child") == 3
    outer = next(one for one in spans(root) if one["data"]["message"] == "outer")
    assert outer["data"]["properties"] == {"order": 7, "done": True}
    detail = _ask(dev, f"/api/v1/runs/{run.id}/spans/{outer['id']}")
    assert [one["name"] for one in detail["events"]] == ["paid", "log"]
    assert len(detail["triggeredRuns"]) == 3

    page = httpx.get(f"{dev.session['apiUrl']}/runs/{run.id}").text
    assert page.index("outer") < page.index("inner") < page.index("in the child")


def test_blocking_calls_hand_their_span_on_as_well(dev: Dev) -> None:
    """Of tasks that are plain functions."""
    run = dev.run("blocking")
    root = _with(dev, run.id, "within", *["child"] * 3)

    assert set(outline(root, "within", "child")) == {"within", "within > child"}


def test_a_span_that_is_open_while_its_run_waits_is_there(dev: Dev) -> None:
    """It is shown as going on, with the child that is waited for below it, and ends where it is."""
    token = _ask(dev, "/api/v1/waitpoints/tokens", {})["id"]
    run_id = dev.trigger("waiting", token)
    root = _with(dev, run_id, "while it waits", "approval")
    [span] = [one for one in spans(root) if one["data"]["message"] == "while it waits"]
    assert span["data"]["isPartial"]
    assert outline(root, "while it waits", "approval")[-1] == "while it waits > approval"

    _ask(dev, f"/api/v1/waitpoints/tokens/{token}/complete", {"data": "yes"})
    assert dev.result(run_id).output == "yes"

    def ended() -> list[dict[str, Any]] | None:
        found = [one for one in spans(_root(dev, run_id)) if one["id"] == span["id"]]
        return None if found[0]["data"]["isPartial"] else found

    assert len(until(ended)) == 1


def test_an_exception_marks_the_span_that_it_leaves(dev: Dev) -> None:
    """With the words of OpenTelemetry."""
    run = dev.run("fails")
    root = _with(dev, run.id, "bad")
    [bad] = [one for one in spans(root) if one["data"]["message"] == "bad"]
    assert bad["data"]["isError"]
    [event] = bad["data"]["events"]
    assert event["name"] == "exception"
    assert event["properties"]["exception.type"] == "ValueError"
    assert event["properties"]["exception.message"] == "no luck"
