"""Streams of runs over HTTP: written while they are read, resumed, limited, and sent to a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx
import pytest

from support import postgres
from support.http import Platform
from support.live import listening
from trigger_platform.engine import retention
from trigger_platform.engine.retention import Periods
from trigger_platform.http import public_token
from trigger_platform.http.routes import streams as routes
from trigger_platform.store.rows import Count
from trigger_platform.store.sqlite import MEMORY


@pytest.fixture(params=["sqlite", "postgres"])
async def platform(request: pytest.FixtureRequest) -> AsyncIterator[Platform]:
    """A platform behind a socket, on each database."""
    address = MEMORY if request.param == "sqlite" else postgres.emptied_database()
    async with listening(address) as opened:
        yield opened


def _path(run_id: str, name: str = "ai", target: str = "self") -> str:
    return f"/realtime/v1/streams/{run_id}/{target}/{name}"


async def _write(
    platform: Platform, run_id: str, values: Iterable[Any], target: str = "self", **headers: str
) -> httpx.Response:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    body = "".join(json.dumps(value) + "\n" for value in values)
    return await platform.http.post(_path(run_id, target=target), content=body, headers=sent)


def _bearer(platform: Platform, scope: str, life_s: int = 3_600) -> dict[str, str]:
    server, environment = platform.server, platform.server.local.environment
    claims = {"sub": environment.id, "pub": True, "scopes": [scope]}
    token = public_token.mint(server.units.keys, environment, claims, platform.clock.now(), life_s)
    return {"authorization": f"Bearer {token}"}


class Reader:
    """Reads server-sent events one by one."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> dict[str, str] | None:
        """Return the next event or comment; ``None`` at the end."""
        event: dict[str, str] = {}
        async for line in self._lines:
            if not line and event:
                return event
            name, _, value = line.partition(":")
            event[name or "comment"] = value.strip()
        return None

    async def rest(self) -> list[Any]:
        """Return the data of all events until the end."""
        found: list[Any] = []
        while (event := await self.next()) is not None:
            if "data" in event:
                found.append(json.loads(event["data"]))
        return found


async def _read(platform: Platform, path: str, **headers: str) -> list[Any]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with platform.http.stream("GET", path, headers=sent) as response:
        assert response.status_code == 200
        return await Reader(response).rest()


async def _end(platform: Platform, run_id: str) -> None:
    assert (await platform.http.post(f"/api/v2/runs/{run_id}/cancel")).status_code == 200


async def test_a_declared_stream_is_written_here_and_shown_with_the_run(platform: Platform) -> None:
    """The answer names no store elsewhere, so that official clients send to the same address."""
    run_id = await platform.trigger()
    declared = await platform.http.put(_path(run_id))
    again = await platform.http.put(_path(run_id))
    await platform.http.put(_path(run_id, "other"))
    row = (await platform.http.get(f"/realtime/v1/runs/{run_id}")).json()[0]["value"]

    assert (declared.status_code, declared.json()) == (202, {"version": "v1"})
    assert again.status_code == 202
    assert row["realtimeStreams"] == '{"ai","other"}'


async def test_values_are_read_as_they_are_written_until_the_run_is_over(
    platform: Platform,
) -> None:
    """Each has an id that begins with its moment; the end of the run ends the stream."""
    run_id = await platform.trigger()
    async with platform.http.stream("GET", f"/realtime/v1/streams/{run_id}/ai") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert "x-stream-version" not in response.headers
        reader = Reader(response)
        for number, value in enumerate(({"delta": "é\n"}, "two", 3)):
            await _write(platform, run_id, [value])
            event = await reader.next()
            assert event is not None
            assert json.loads(event["data"]) == value
            assert event["id"] == f"{platform.clock.now()}-{number}"
        await _end(platform, run_id)
        assert await reader.next() is None


async def test_a_body_that_comes_slowly_is_read_while_it_comes(platform: Platform) -> None:
    """A line counts as soon as it is whole."""
    run_id = await platform.trigger()
    come = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b'"one"\n"tw'
        await come.wait()
        yield b'o"\n'

    async with platform.http.stream("GET", f"/realtime/v1/streams/{run_id}/ai") as response:
        reader = Reader(response)
        writing = asyncio.create_task(platform.http.post(_path(run_id), content=body()))
        first = await reader.next()
        come.set()
        second = await reader.next()
        assert (await writing).status_code == 200
        await _end(platform, run_id)

    assert [event and event["data"] for event in (first, second)] == ['"one"', '"two"']


async def test_a_reader_resumes_after_the_last_event_it_saw(platform: Platform) -> None:
    """Or begins at the end, if it asks so."""
    run_id = await platform.trigger()
    await _write(platform, run_id, range(5))
    await _end(platform, run_id)
    path = f"/realtime/v1/streams/{run_id}/ai"

    assert await _read(platform, path) == [0, 1, 2, 3, 4]
    assert await _read(platform, path, last_event_id="1764000000000-2") == [3, 4]
    assert await _read(platform, path, x_trigger_stream_start="latest") == []


async def test_a_reader_is_cut_off_when_its_token_expires(platform: Platform) -> None:
    """It is not told that the stream is over; when it comes back it is refused."""
    run_id = await platform.trigger()
    await _write(platform, run_id, [1])
    headers = _bearer(platform, f"read:runs:{run_id}", life_s=1)
    path = f"/realtime/v1/streams/{run_id}/ai"
    async with platform.http.stream("GET", path, headers=headers) as response:
        reader = Reader(response)
        first = await reader.next()
        platform.clock.advance(1_000)
        with pytest.raises(httpx.RemoteProtocolError):
            await reader.rest()

    assert first is not None
    assert first["data"] == "1"
    assert (await platform.http.get(path, headers=headers)).status_code == 401


async def test_who_follows_a_run_is_let_go_when_the_token_expires(platform: Platform) -> None:
    """And refused when he comes back."""
    run_id = await platform.trigger()
    headers = _bearer(platform, f"read:runs:{run_id}", life_s=1)
    path = f"/api/v1/runs/{run_id}/follow"
    async with platform.http.stream("GET", path, headers=headers) as response:
        reader = Reader(response)
        first = await reader.next()
        platform.clock.advance(1_000)
        rest = await reader.rest()

    assert (first is not None, rest) == (True, [])
    assert (await platform.http.get(path, headers=headers)).status_code == 401


async def test_a_reader_is_cut_off_when_the_server_ends(platform: Platform) -> None:
    """An end would tell it that there is no more; so it goes on elsewhere, or later."""
    run_id = await platform.trigger()
    async with platform.http.stream("GET", f"/realtime/v1/streams/{run_id}/ai") as response:
        platform.server.close()
        with pytest.raises(httpx.RemoteProtocolError):
            await response.aread()


async def test_more_values_than_fit_one_look_are_all_read(platform: Platform) -> None:
    """In order."""
    run_id = await platform.trigger()
    await _write(platform, run_id, range(1_000))
    await _end(platform, run_id)

    assert await _read(platform, f"/realtime/v1/streams/{run_id}/ai") == list(range(1_000))


async def test_a_writer_resumes_where_the_platform_says(platform: Platform) -> None:
    """Values that are sent twice count once, and writers do not disturb each other."""
    run_id = await platform.trigger()
    asked = {"x-client-id": "c1"}
    before = await platform.http.head(_path(run_id), headers=asked)
    await _write(platform, run_id, ["a", "b"], x_client_id="c1", x_resume_from_chunk="0")
    between = await platform.http.head(_path(run_id), headers=asked)
    await _write(platform, run_id, ["b", "c"], x_client_id="c1", x_resume_from_chunk="1")
    await _write(platform, run_id, ["other"], x_client_id="c2")
    await _end(platform, run_id)

    assert before.headers["x-last-chunk-index"] == "-1"
    assert between.headers["x-last-chunk-index"] == "1"
    read = await _read(platform, f"/realtime/v1/streams/{run_id}/ai")
    assert read == ["a", "b", "c", "other"]


async def test_a_part_is_kept_as_a_text_and_counts_once(platform: Platform) -> None:
    """Named by a header."""
    run_id = await platform.trigger()
    for part in ("p1", "p1", "p2"):
        answer = await platform.http.post(
            _path(run_id) + "/append", content=f"text {part}", headers={"x-part-id": part}
        )
        assert answer.json() == {"ok": True}
    await _end(platform, run_id)

    assert await _read(platform, f"/realtime/v1/streams/{run_id}/ai") == ["text p1", "text p2"]


async def test_a_child_writes_to_its_parent_and_to_the_root(platform: Platform) -> None:
    """A run without a parent is its own."""
    root = await platform.trigger()
    parent = await platform.trigger(parentRunId=root)
    child = await platform.trigger(parentRunId=parent)
    await _write(platform, child, ["to parent"], target="parent")
    await _write(platform, child, ["to root"], target="root")
    await _write(platform, root, ["to itself"], target="parent")
    for run_id in (child, parent, root):
        await _end(platform, run_id)

    assert await _read(platform, f"/realtime/v1/streams/{parent}/ai") == ["to parent"]
    assert await _read(platform, f"/realtime/v1/streams/{root}/ai") == ["to root", "to itself"]
    assert await _read(platform, _path(child, target="parent")) == ["to parent"]


async def test_a_run_that_is_over_takes_no_more(platform: Platform) -> None:
    """What it has is read."""
    run_id = await platform.trigger()
    await _write(platform, run_id, [1])
    await _end(platform, run_id)

    assert (await platform.http.put(_path(run_id, "new"))).status_code == 400
    assert (await _write(platform, run_id, [2])).status_code == 400
    appended = await platform.http.post(_path(run_id) + "/append", content="x")
    assert (appended.status_code, appended.json()["code"]) == (400, "STREAM_CLOSED")
    assert (await _send(platform, run_id, 1)).status_code == 400
    assert await _read(platform, f"/realtime/v1/streams/{run_id}/ai") == [1]


async def test_what_is_not_there_or_cannot_be_is_refused(platform: Platform) -> None:
    """404 and 400 end the client's attempts."""
    run_id = await platform.trigger()
    read = f"/realtime/v1/streams/{run_id}/ai"
    answers = [
        await platform.http.put(_path("run_none")),
        await platform.http.get("/realtime/v1/streams/run_none/ai"),
        await platform.http.get(read, headers={"timeout-seconds": "601"}),
        await platform.http.get(read, headers={"timeout-seconds": "0"}),
        await platform.http.put(_path(run_id, target="sibling")),
        await platform.http.put(_path(run_id, "$trigger.input:x")),
        await _write(platform, run_id, ["x" * 1_100_000]),
        await platform.http.post(_path(run_id) + "/append", content="x" * 600_000),
    ]

    assert [one.status_code for one in answers] == [404, 404, 400, 400, 400, 400, 413, 413]


async def test_a_stream_has_an_end_to_its_size(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written stays."""
    monkeypatch.setattr("trigger_platform.engine.stream._MAX_STREAM_BYTES", 10)
    run_id = await platform.trigger()
    await _write(platform, run_id, ["12345"])
    answer = await _write(platform, run_id, ["12345"])
    await _end(platform, run_id)

    assert answer.status_code == 413
    assert await _read(platform, f"/realtime/v1/streams/{run_id}/ai") == ["12345"]


async def test_a_quiet_stream_is_kept_open_by_comments_and_then_closed(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After as many seconds as the reader says."""
    monkeypatch.setattr(routes, "_PING_S", 0.3)
    run_id = await platform.trigger()
    path, headers = f"/realtime/v1/streams/{run_id}/ai", {"timeout-seconds": "1"}
    async with platform.http.stream("GET", path, headers=headers) as response:
        text = "".join([part async for part in response.aiter_text()])

    assert set(text.split("\n\n")) == {": ping", ""}


async def test_who_reads_one_stream_is_not_woken_by_another(platform: Platform) -> None:
    """Nor by other runs."""
    run_id, other = await platform.trigger(), await platform.trigger()
    hub = platform.server.hub
    environment_id = platform.server.local.environment.id
    async with hub.subscribed(environment_id, run_id, "ai") as subscription:

        async def is_woken() -> bool:
            subscription.changed.clear()
            await _write(platform, other, [1])
            await platform.http.post(_path(run_id, "else"), content="1\n")
            await _told(platform)
            return subscription.changed.is_set()

        # The news of the new run and its new stream wakes it once, and so does a listener that has connected.
        assert not all([await is_woken() for _ in range(3)])
        await _write(platform, run_id, [1])
        assert await subscription.wait(20)


async def _told(platform: Platform) -> None:
    """Wait until everything before has been told: events are told in their order."""
    server, environment_id = platform.server, platform.server.local.environment.id
    async with server.hub.subscribed(environment_id, "run_mark") as mark:
        await server.units.write(lambda u: u.emit(environment_id, "run.changed", "run_mark", 1))
        assert await mark.wait(20)


async def test_streams_go_with_their_run(platform: Platform) -> None:
    """Chunks, writers, waits and tags too."""
    run_id = await platform.trigger(tags=["a"])
    await _write(platform, run_id, range(3), x_client_id="c")
    await _send(platform, run_id, 1)
    await platform.http.post(
        f"/api/v1/runs/{run_id}/input-streams/wait", json={"streamId": "other"}
    )
    await _end(platform, run_id)
    platform.clock.advance(31 * 86_400_000)
    swept = await platform.server.units.write(retention.runs, Periods(), {})
    assert swept.removed == 1

    tables = ("stream", "stream_chunk", "stream_writer", "stream_wait", "run_tag", "run")
    rows = await platform.server.units.read(_counted)
    assert {rows[table] for table in tables} == {0}


def _counted(u: Any) -> dict[str, int]:
    return {row.name: row.count for row in u.tx.all("table_rows", Count)}


async def _send(
    platform: Platform, run_id: str, value: Any, name: str = "approval", **more: Any
) -> httpx.Response:
    path = f"/realtime/v1/streams/{run_id}/input/{name}"
    return await platform.http.post(path, json={"data": value}, **more)


async def _await_input(platform: Platform, run_id: str, **more: Any) -> str:
    answer = await platform.http.post(
        f"/api/v1/runs/{run_id}/input-streams/wait", json={"streamId": "approval"} | more
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["waitpointId"])


async def _token(platform: Platform, token_id: str) -> dict[str, Any]:
    return dict((await platform.http.get(f"/api/v1/waitpoints/tokens/{token_id}")).json())


async def test_what_a_run_is_sent_is_read_with_numbers(platform: Platform) -> None:
    """In the form whose readers count; it is no stream that the run shows."""
    run_id = await platform.trigger()
    for value in ({"ok": True}, None):
        assert (await _send(platform, run_id, value)).json() == {"ok": True}
    row = (await platform.http.get(f"/realtime/v1/runs/{run_id}")).json()[0]["value"]
    await _end(platform, run_id)
    path = f"/realtime/v1/streams/{run_id}/input/approval"
    async with platform.http.stream("GET", path) as response:
        assert response.headers["x-stream-version"] == "v2"
        batches = await Reader(response).rest()
    later = await _read(platform, path, last_event_id="0")

    records = [record for batch in batches for record in batch["records"]]
    assert [(one["seq_num"], json.loads(one["body"])["data"]) for one in records] == [
        (0, {"ok": True}),
        (1, None),
    ]
    assert [one["records"][0]["seq_num"] for one in later] == [1]
    assert row["realtimeStreams"] == "{}"


async def test_a_wait_for_input_is_over_with_the_next_value(platform: Platform) -> None:
    """Whether the value comes later or is there already; it comes once."""
    run_id = await platform.trigger()
    first = await _await_input(platform, run_id)
    assert (await _token(platform, first))["status"] == "WAITING"
    await _send(platform, run_id, {"n": 1})
    assert (await _token(platform, first))["output"] == '{"n":1}'
    await _send(platform, run_id, {"n": 2})
    second = await _await_input(platform, run_id, lastSeqNum=0)

    assert (await _token(platform, second))["output"] == '{"n":2}'
    third = await _await_input(platform, run_id, lastSeqNum=1)
    assert (await _token(platform, third))["status"] == "WAITING"


async def test_two_waits_for_input_get_two_values(platform: Platform) -> None:
    """Each the one at its place."""
    run_id = await platform.trigger()
    second = await _await_input(platform, run_id, lastSeqNum=0)
    first = await _await_input(platform, run_id)
    await _send(platform, run_id, "one")
    assert (await _token(platform, second))["status"] == "WAITING"
    await _send(platform, run_id, "two")

    assert (await _token(platform, first))["output"] == '"one"'
    assert (await _token(platform, second))["output"] == '"two"'


async def test_a_wait_for_input_runs_out_of_time(platform: Platform) -> None:
    """And a value that comes later goes to the next one."""
    run_id = await platform.trigger(ttl="1d")
    waited = await _await_input(platform, run_id, timeout="1m")
    platform.clock.advance(61_000)
    await platform.sweep()
    await _send(platform, run_id, 1)

    assert (await _token(platform, waited))["status"] == "TIMED_OUT"
    assert (await _token(platform, await _await_input(platform, run_id)))["output"] == "1"


@pytest.mark.parametrize(
    ("scope", "allowed"),
    [
        ("write:inputStreams:{run}", True),
        ("write:inputStreams", True),
        ("write:inputStreams:run_other", False),
        ("read:runs:{run}", False),
    ],
)
async def test_a_public_token_sends_input_if_its_scope_says_so(
    platform: Platform, scope: str, allowed: bool
) -> None:
    """And reads streams if it may read the run."""
    run_id = await platform.trigger()
    headers = _bearer(platform, scope.format(run=run_id))
    sent = await _send(platform, run_id, 1, headers=headers)
    await _end(platform, run_id)
    read = await platform.http.get(f"/realtime/v1/streams/{run_id}/ai", headers=headers)
    declared = await platform.http.put(_path(run_id), headers=headers)

    assert sent.status_code == (200 if allowed else 403)
    assert read.status_code == (200 if scope.startswith("read") else 403)
    assert declared.status_code == 401
