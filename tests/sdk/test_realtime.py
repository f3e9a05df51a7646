"""The SDK follows runs and reads and writes streams, against a real platform."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import BaseModel

from support.http import Platform
from support.live import listening
from trigger_core.errors import ApiError, NotFoundError, TriggerError
from trigger_sdk import batch, runs, streams


class Part(BaseModel):
    """What goes through a stream."""

    text: str


@pytest.fixture
async def platform(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    """A platform that the SDK finds by its variables."""
    async with listening() as opened:
        monkeypatch.setenv("TRIGGER_API_URL", opened.server.url)
        monkeypatch.setenv("TRIGGER_SECRET_KEY", opened.key)
        yield opened


async def _cancel(platform: Platform, run_id: str) -> None:
    assert (await platform.http.post(f"/api/v2/runs/{run_id}/cancel")).status_code == 200


async def test_a_run_is_followed_until_it_is_over(platform: Platform) -> None:
    """Each change comes as the whole run."""
    run_id = await platform.trigger("hello", {"n": 1}, tags=["a"])
    seen: list[tuple[str, object]] = []
    async for run in runs.subscribe(run_id):
        seen.append((run.status, run.detail.metadata))
        assert (run.task, run.detail.payload, run.detail.tags) == ("hello", {"n": 1}, ["a"])
        if len(seen) == 1:
            body = {"metadata": {"step": 1}}
            await platform.http.put(f"/api/v1/runs/{run_id}/metadata", json=body)
        if len(seen) == 2:
            await _cancel(platform, run_id)

    assert seen == [("QUEUED", None), ("QUEUED", {"step": 1}), ("CANCELED", {"step": 1})]


async def test_following_blocks_where_nothing_is_async(platform: Platform) -> None:
    """The same, in a thread."""
    run_id = await platform.trigger("hello", {"big": 1})

    def follow() -> list[tuple[str, object]]:
        found = runs.subscribe_sync(run_id, skip_columns=["payload"])
        return [(run.status, run.detail.payload) for run in found]

    following = asyncio.create_task(asyncio.to_thread(follow))
    await asyncio.wait([following], timeout=0.3)
    await _cancel(platform, run_id)

    assert await following == [("QUEUED", None), ("CANCELED", None)]


async def test_tags_and_batches_are_followed(platform: Platform) -> None:
    """For as long as somebody listens."""
    items = [{"task": "t", "options": {"tags": ["a", "b"]}}, {"task": "t"}]
    made = (await platform.http.post("/api/v1/tasks/batch", json={"items": items})).json()
    first, second = (run["id"] for run in made["runs"])
    async for run in runs.subscribe_with_tag("a", "b"):
        assert run.id == first
        break
    seen: list[str] = []
    async for run in batch.subscribe(made["id"]):
        seen.append(run.id)
        if len(seen) == 2:
            break

    assert sorted(seen) == sorted([first, second])


async def test_who_follows_what_is_not_there_is_told(platform: Platform) -> None:
    """At once, not after retries."""
    with pytest.raises(NotFoundError):
        async for _ in runs.subscribe("run_none"):
            pass
    with pytest.raises(NotFoundError):
        async for _ in streams.define("x").read("run_none"):
            pass


async def test_a_stream_is_piped_and_read_until_the_run_is_over(platform: Platform) -> None:
    """Values are typed on both sides."""
    parts = streams.define("parts", Part)
    run_id = await platform.trigger()

    async def source() -> AsyncIterator[Part]:
        for number in range(20):
            await asyncio.sleep(0)
            yield Part(text=f"{number}\n")

    async def write() -> int:
        sent = await parts.pipe(source(), target=run_id)
        await parts.append(Part(text="last"), Part(text="é"), target=run_id)
        await _cancel(platform, run_id)
        return sent

    writing = asyncio.create_task(write())
    read = [part.text async for part in parts.read(run_id)]

    assert await writing == 20
    assert read == [*(f"{number}\n" for number in range(20)), "last", "é"]


async def test_what_a_source_raises_is_raised_after_what_it_gave(platform: Platform) -> None:
    """Nothing of it is lost."""
    numbers = streams.define("numbers", int)
    run_id = await platform.trigger()

    async def source() -> AsyncIterator[int]:
        yield 1
        yield 2
        raise ValueError("dry")

    with pytest.raises(ValueError, match="dry"):
        await numbers.pipe(source(), target=run_id)
    assert [one async for one in numbers.read(run_id, idle="1s")] == [1, 2]


async def test_streams_block_where_nothing_is_async(platform: Platform) -> None:
    """Write, read and send."""
    numbers = streams.define("numbers", int)
    run_id = await platform.trigger()

    def work() -> list[int]:
        assert numbers.pipe_sync(iter([1, 2]), target=run_id) == 2
        numbers.append_sync(3, target=run_id)
        streams.input("go").send_sync(run_id, True)
        return list(numbers.read_sync(run_id, idle="1s"))

    assert await asyncio.to_thread(work) == [1, 2, 3]


async def test_a_run_that_is_over_is_sent_nothing(platform: Platform) -> None:
    """The platform says why."""
    run_id = await platform.trigger()
    await _cancel(platform, run_id)

    with pytest.raises(ApiError) as caught:
        await streams.input("approval").send(run_id, 1)
    assert caught.value.code == "STREAM_CLOSED"


async def test_outside_of_a_run_a_stream_needs_to_know_whose_it_is() -> None:
    """And nothing is received."""
    with pytest.raises(TriggerError) as caught:
        await streams.define("numbers").append(1)
    assert caught.value.code == "NOT_IN_A_RUN"
    with pytest.raises(TriggerError) as caught:
        await streams.input("approval").receive()
    assert caught.value.code == "NOT_IN_A_RUN"
