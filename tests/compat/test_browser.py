"""The official React hooks in a real browser, on a page of another origin than the platform's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, expect

from support import react
from support.browser import NEEDED, Tab, chromium
from support.dev import Dev, until, write_project
from support.npm import VERSIONS
from support.server import Started
from trigger_core.api.calls import streams as stream_calls
from trigger_core.api.calls import tasks as task_calls
from trigger_core.api.calls import tokens as token_calls
from trigger_core.schemas.tokens import CreateToken
from trigger_core.schemas.trigger import BatchItem, TriggerBatch
from trigger_sdk import auth, runs, streams, tasks
from trigger_sdk.auth import Scope

pytestmark = [
    NEEDED,
    pytest.mark.slow,
    pytest.mark.xdist_group("compat-browser"),
    pytest.mark.timeout(300),
]

TASKS = """
from trigger_sdk import *

numbers = streams.define("numbers", int)
approval = streams.input("approval", dict)

@task(isolation="reuse")
async def asking() -> dict:
    metadata.set("state", "asking")
    answer = await approval.receive()
    return {"answer": answer}

@task(isolation="reuse")
async def counting(count: int) -> int:
    async def some():
        for number in range(count):
            yield number
        await approval.receive()
        yield -1
    return await numbers.pipe(some())

@task(isolation="reuse")
async def waiting(token: str) -> object:
    return await wait.for_token(token).unwrap()

@task(isolation="reuse")
async def large() -> str:
    return "x" * 1_500_000
"""
ALREADY = "this token has triggered its run already"
PAGE = Path(__file__).parent / "react" / "page.tsx"


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One session for all tests of this file."""
    session = Dev(write_project(tmp_path_factory.mktemp("browser"), TASKS))
    yield session
    assert session.stop() == 0


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[react.Site]:
    """The page, with the hooks of each version."""
    folder = tmp_path_factory.mktemp("site")
    for version in VERSIONS:
        react.bundle(version, PAGE, folder, version)
    with react.serving(folder) as site:
        yield site


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests of this file."""
    with chromium() as found:
        yield found


Opens = Callable[..., Tab]
"""Opens a tab that shows a component: its name, a platform's address, a token, and what else it is given."""


@pytest.fixture(params=VERSIONS)
def opens(request: pytest.FixtureRequest, site: react.Site, browser: Browser) -> Iterator[Opens]:
    """A window of its own for each test, with the hooks of each version."""
    context = browser.new_context()

    def opens(scene: str, url: str, token: str, **given: Any) -> Tab:
        address = site.address(request.param, scene, token=token, baseURL=url, **given)
        return Tab(context, address, url)

    yield opens
    context.close()


@pytest.fixture
def show(dev: Dev, opens: Opens, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Tab]:
    """Open tabs on the session's platform, which the SDK knows too."""
    url = dev.session["apiUrl"]
    monkeypatch.setenv("TRIGGER_API_URL", url)
    monkeypatch.setenv("TRIGGER_SECRET_KEY", dev.session["secretKey"])

    def show(scene: str, token: str, **given: Any) -> Tab:
        return opens(scene, url, token, **given)

    return show


def _reads(*run_ids: str, **options: Any) -> str:
    return auth.create_public_token_sync(read=Scope(runs=run_ids), **options)


def _batch(dev: Dev, count: int) -> tuple[str, list[str]]:
    items = [BatchItem(task="asking") for _ in range(count)]
    made = dev.client.send(task_calls.batch_trigger(TriggerBatch(items=items)))
    return made.id, [run.id for run in made.runs]


def _approve(run_id: str) -> None:
    streams.input("approval").send_sync(run_id, {"by": "Ada"})


def test_a_run_changes_on_the_page_without_a_reload(show: Opens, dev: Dev) -> None:
    """State, metadata and output arrive as they change; while nothing changes nothing is asked."""
    run_id = dev.trigger("asking")
    tab = show("Run", _reads(run_id), run=run_id)
    tab.shows(status="WAITING", metadata={"state": "asking"}, isFinished=False)

    assert tab.asked_within(1_000) == 0

    _approve(run_id)
    tab.shows(status="COMPLETED", output={"answer": {"by": "Ada"}}, isFinished=True)
    assert tab.asked_within(500) == 0
    assert tab.page.title() == "complete"
    assert tab.complaints == []


def test_runs_with_a_tag_and_of_a_batch_appear_and_change(show: Opens, dev: Dev) -> None:
    """Those that are there, and those that come."""
    tag = f"tag-{uuid4()}"
    first = dev.trigger("asking", tags=[tag])
    batch_id, together = _batch(dev, 2)
    tagged = show("Tag", auth.create_public_token_sync(read=Scope(tags=[tag])), tag=tag)
    reads = auth.create_public_token_sync(read=Scope(batch=[batch_id]))
    batched = show("Batch", reads, batch=batch_id)
    tagged.shows(runs={first: "WAITING"})
    assert tagged.asked_within(500) + batched.asked_within(500) == 0

    second = dev.trigger("asking", tags=[tag])
    tagged.shows(runs={first: "WAITING", second: "WAITING"})
    _approve(first)
    tagged.shows(runs={first: "COMPLETED", second: "WAITING"})
    batched.shows(runs=dict.fromkeys(together, "WAITING"))
    for run_id in together:
        _approve(run_id)
    batched.shows(runs=dict.fromkeys(together, "COMPLETED"))
    assert tagged.complaints + batched.complaints == []


def test_a_stream_arrives_as_it_is_written(show: Opens, dev: Dev) -> None:
    """By itself, and together with its run."""
    run_id = dev.trigger("counting", 3)
    alone = show("Stream", _reads(run_id), run=run_id)
    together = show("Streams", _reads(run_id), run=run_id)
    alone.shows(parts=[0, 1, 2])
    together.shows(status="WAITING", streams={"numbers": [0, 1, 2]})
    assert alone.asked_within(500) + together.asked_within(500) == 0

    _approve(run_id)
    alone.shows(parts=[0, 1, 2, -1])
    together.shows(status="COMPLETED", streams={"numbers": [0, 1, 2, -1]})
    assert alone.asked_within(500) == 0
    assert alone.complaints + together.complaints == []


def test_a_page_triggers_a_run_and_follows_it(show: Opens, dev: Dev) -> None:
    """With a token that triggers once; what follows the run is the token of the answer."""
    triggers = auth.create_trigger_public_token_sync("counting")
    tab = show("TriggerWithStreams", triggers, task="counting", payload=2)
    tab.press()
    tab.shows(status="WAITING", streams={"numbers": [0, 1]})

    again = show("Trigger", triggers, task="counting", payload=2)
    again.press()
    again.alerts(ALREADY)
    assert [one for one in again.complaints if "422" not in one] == [ALREADY]

    other = show("RealtimeTrigger", auth.create_trigger_public_token_sync("asking"), task="asking")
    other.press()
    other.shows(status="WAITING")
    _approve(other.value("handle"))
    other.shows(status="COMPLETED", output={"answer": {"by": "Ada"}})
    assert tab.complaints + other.complaints == []


def test_a_page_completes_a_token_and_sends_input(show: Opens, dev: Dev) -> None:
    """The waiting runs go on with what was sent."""
    token = dev.client.send(token_calls.create(CreateToken()))
    waiting = dev.trigger("waiting", token.id)
    writes = auth.create_public_token_sync(write=Scope(waitpoints=[token.id]))
    completes = show("Complete", writes, waitpoint=token.id)
    completes.press()

    asking = dev.trigger("asking")
    writes = auth.create_public_token_sync(write=Scope(input_streams=[asking]))
    sends = show("Input", writes, run=asking)
    sends.shows(isReady=True)
    sends.press()

    assert dev.result(waiting).output == {"by": "Ada"}
    assert dev.result(asking).output == {"answer": {"by": "Ada"}}
    assert completes.complaints + sends.complaints == []


def test_a_run_is_looked_at_again_and_again_until_it_is_over(show: Opens, dev: Dev) -> None:
    """``useRun`` asks as often as it was told, and no more once the run is over."""
    run_id = dev.trigger("asking")
    tab = show("Once", _reads(run_id), run=run_id)
    tab.shows(status="WAITING")
    assert tab.asked_within(1_000) <= 5

    _approve(run_id)
    tab.shows(status="COMPLETED", output={"answer": {"by": "Ada"}})
    assert tab.asked_within(500) == 0
    assert tab.complaints == []


@pytest.mark.parametrize("scene", ["Run", "Once"])
def test_a_large_output_is_fetched_from_where_it_lies(show: Opens, dev: Dev, scene: str) -> None:
    """With the token that reads the run."""
    run_id = dev.trigger("large")
    tab = show(scene, _reads(run_id), run=run_id)

    tab.shows(status="COMPLETED", output=1_500_000)
    assert tab.complaints == []


@pytest.mark.parametrize(
    ("scene", "named", "alert"),
    [
        ("Run", "run", "403"),
        ("Tag", "tag", "403"),
        ("Batch", "batch", "403"),
        ("Stream", "run", "403"),
        ("Once", "run", "Unauthorized"),
    ],
)
def test_a_page_without_the_right_scope_shows_an_error(
    show: Opens, dev: Dev, scene: str, named: str, alert: str
) -> None:
    """The platform's refusal is readable, not hidden by the browser; nothing is asked again."""
    mine = dev.trigger("asking", tags=["mine"])
    batch_id, [other] = _batch(dev, 1)
    reads = _reads(mine)
    ids = {"run": other, "tag": "theirs", "batch": batch_id}
    tab = show(scene, reads, **{named: ids[named]})

    tab.alerts(alert)
    assert tab.asked_within(1_000) == 0
    refused = "Failed to load resource: the server responded with a status of 403"
    assert [one for one in tab.complaints if not one.startswith(refused)] == []


def test_a_page_whose_token_ends_is_told_and_stops(show: Opens, dev: Dev) -> None:
    """A run and a stream that nothing happens to: their readers are refused when the token expires."""
    run_id = dev.trigger("counting", 1)
    soon = _reads(run_id, expires_in="4s")
    row, values = show("Run", soon, run=run_id), show("Stream", soon, run=run_id)
    row.shows(status="WAITING")
    values.shows(parts=[0])

    row.alerts("401")
    values.alerts("401")
    assert row.asked_within(500) + values.asked_within(500) == 0


@pytest.mark.parametrize("opens", VERSIONS[-1:], indirect=True)
def test_a_page_that_renews_its_token_goes_on(show: Opens, dev: Dev) -> None:
    """As newer hooks of streams do, where they were when the old one expired."""
    run_id = dev.trigger("counting", 1)
    tab = show("Renewed", _reads(run_id, expires_in="3s"), run=run_id, next=_reads(run_id))
    tab.shows(parts=[0])
    until(
        lambda: tab.asked_within(50) and len(tab.requests) >= 4, what="a request with the new token"
    )

    _approve(run_id)
    tab.shows(parts=[0, -1])


def test_a_page_whose_token_is_revoked_is_told_and_stops(show: Opens, dev: Dev) -> None:
    """With its next request, and a stream after some seconds."""
    run_id = dev.trigger("counting", 1)
    reads = _reads(run_id)
    row, values = show("Run", reads, run=run_id), show("Stream", reads, run=run_id)
    row.shows(status="WAITING")
    values.shows(parts=[0])
    until(lambda: time.time() % 1 < 0.5)  # tokens know seconds: the next one must be of a later one
    path = f"/api/v1/projects/{dev.session['projectRef']}/dev/revoke-public-tokens"
    person = {"authorization": f"Bearer {dev.session['accessToken']}"}
    assert httpx.post(dev.session["apiUrl"] + path, headers=person).status_code == 200

    path = f"/api/v1/runs/{run_id}/metadata"
    key = {"authorization": f"Bearer {dev.session['secretKey']}"}
    change = {"metadata": {"state": "other"}}
    assert httpx.put(dev.session["apiUrl"] + path, headers=key, json=change).status_code == 200
    row.alerts("401")
    values.alerts("401")
    assert row.asked_within(500) + values.asked_within(500) == 0


def test_two_tabs_follow_the_same(show: Opens, dev: Dev) -> None:
    """Neither waits for the other, and a third can still trigger."""
    run_id = dev.trigger("counting", 2)
    tabs = [show("Streams", _reads(run_id), run=run_id) for _ in range(2)]
    for tab in tabs:
        tab.shows(status="WAITING", streams={"numbers": [0, 1]})
    third = show("Trigger", auth.create_trigger_public_token_sync("asking"), task="asking")
    third.press()
    expect(third.page.locator("#handle")).to_contain_text("run_")

    _approve(run_id)
    for tab in tabs:
        tab.shows(status="COMPLETED", streams={"numbers": [0, 1, -1]})
    assert [tab.complaints for tab in (*tabs, third)] == [[], [], []]


@pytest.mark.parametrize("number", [SIGTERM, SIGKILL])
def test_followers_carry_on_after_a_restart_of_the_platform(
    opens: Opens,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    number: Signals,
) -> None:
    """Whether it was told to end or was killed: what was written meanwhile arrives once."""
    servers = [Started(tmp_path / "platform.db")]
    request.addfinalizer(lambda: [server.end() for server in servers])
    url = servers[0].ready["url"]
    monkeypatch.setenv("TRIGGER_API_URL", url)
    monkeypatch.setenv("TRIGGER_SECRET_KEY", servers[0].ready["secretKey"])
    run_id = tasks.trigger_sync("nobody-executes-it").id
    _write(servers[0], run_id, 0, [0, 1])
    row = opens("Run", url, _reads(run_id), run=run_id)
    values = opens("Stream", url, _reads(run_id), run=run_id)
    row.shows(status="QUEUED")
    values.shows(parts=[0, 1])

    servers[0].stop(number)
    servers.append(Started(tmp_path / "platform.db", port=servers[0].address[1]))
    _write(servers[1], run_id, 2, [2])
    runs.cancel_sync(run_id)
    row.shows(status="CANCELED", isFinished=True)
    values.shows(parts=[0, 1, 2])

    assert len(row.requests) + len(values.requests) < 40
    assert [one for one in row.complaints + values.complaints if "net::ERR_" not in one] == []


def _write(server: Started, run_id: str, first: int, values: list[int]) -> None:
    texts = list(map(str, values))
    with closing(server.client) as client:
        client.send(
            stream_calls.write(
                run_id, "self", "numbers", values=texts, client_id="test", first=first
            )
        )
