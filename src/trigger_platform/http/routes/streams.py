"""Streams of runs: writing from a task, reading as server-sent events, sending input (protocol C.2-C.4)."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast, get_args

from starlette.responses import Response, StreamingResponse

from trigger_core.errors import ApiError, PayloadTooLargeError, UsageError
from trigger_core.schemas.streams import SendInput, StreamDeclared, StreamWritten
from trigger_platform.engine import states, stream
from trigger_platform.engine.stream import MAX_CHUNK_BYTES, MAX_NAME, Target, Writer
from trigger_platform.engine.unit import Unit
from trigger_platform.http import connection, ndjson
from trigger_platform.http.auth import Access, confirm
from trigger_platform.http.endpoint import Incoming, Reply, endpoint
from trigger_platform.http.leave import Leave
from trigger_platform.http.ndjson import Line
from trigger_platform.http.server import Server
from trigger_platform.store.rows import EnvironmentRow, RunRow, StreamChunkRow

__all__ = [
    "append_part",
    "declare_stream",
    "last_chunk",
    "read_input",
    "read_stream",
    "read_target",
    "send_input",
    "write_stream",
]

_EVENTS: Final = "text/event-stream"
_PING_S: Final = 10.0
_IDLE_S: Final = 60
_LONGEST_IDLE_S: Final = 600
_PAGE: Final = 200
_PART_LIMIT: Final = 512 * 1024
_INPUT_LIMIT: Final = 1024 * 1024


@endpoint(
    "PUT",
    "/realtime/v1/streams/{run_id}/{target}/{name}",
    access=Access.STREAM_WRITER,
    returns=StreamDeclared,
    statuses=(202,),
)
async def declare_stream(call: Incoming[None]) -> Reply:
    """Give a run a stream; values are sent here, not to a store elsewhere."""
    await call.server.write(
        stream.declare, call.environment_id, call.path("run_id"), _target(call), _name(call)
    )
    return Reply(StreamDeclared(), status=202)


@endpoint(
    "POST",
    "/realtime/v1/streams/{run_id}/input/{name}",
    access=Access.INPUT_SENDER,
    body=SendInput,
    returns=StreamWritten,
    body_limit=_INPUT_LIMIT,
)
async def send_input(call: Incoming[SendInput]) -> StreamWritten:
    """Send a value to a run that goes on."""
    value = json.dumps(call.body.data, ensure_ascii=False, separators=(",", ":"))
    await call.server.write(
        stream.send, call.environment_id, call.path("run_id"), _name(call), value
    )
    return StreamWritten()


@endpoint("POST", "/realtime/v1/streams/{run_id}/{target}/{name}", access=Access.STREAM_WRITER)
async def write_stream(call: Incoming[None]) -> Response:
    """Send values, one a line, as they come; a writer that names itself may resume later."""
    client_id = call.request.headers.get("x-client-id", "")
    index = _number(call, "x-resume-from-chunk", 0)
    run = await call.server.write(
        stream.declare, call.environment_id, call.path("run_id"), _target(call), _name(call)
    )
    async for lines in ndjson.groups(call.request.stream(), MAX_CHUNK_BYTES):
        await confirm(call.server, call.principal)
        chunks = [_chunk(line) for line in lines]
        writer = Writer(client_id, index) if client_id else None
        await call.server.write(
            stream.append, call.environment_id, run.id, _name(call), chunks, writer=writer
        )
        index += len(chunks)
    return Response(status_code=200)


@endpoint(
    "POST",
    "/realtime/v1/streams/{run_id}/{target}/{name}/append",
    access=Access.STREAM_WRITER,
    returns=StreamWritten,
)
async def append_part(call: Incoming[None]) -> StreamWritten:
    """Append one text; the same part, named by a header, counts once."""
    text = (await call.body_bytes(_PART_LIMIT)).decode(errors="replace")
    part = call.request.headers.get("x-part-id")
    writer = Writer(f"part {part}", 0) if part else None

    def work(u: Unit, environment: EnvironmentRow) -> None:
        run = stream.find_run(u, environment, call.path("run_id"), _target(call))
        stream.append(u, environment, run.id, _name(call), [json.dumps(text)], writer=writer)

    await call.server.write(work, call.environment_id)
    return StreamWritten()


@endpoint("HEAD", "/realtime/v1/streams/{run_id}/{target}/{name}", access=Access.STREAM_READER)
async def last_chunk(call: Incoming[None]) -> Response:
    """Tell a writer which of its values was the last to arrive."""

    def work(u: Unit, environment: EnvironmentRow) -> int:
        run = stream.find_run(u, environment, call.path("run_id"), _target(call))
        client_id = call.request.headers.get("x-client-id", "")
        return stream.last_index(u, environment, run.id, _name(call), client_id)

    last = await call.server.read(work, call.environment_id)
    return Response(headers={"x-last-chunk-index": str(last)})


@endpoint(
    "GET", "/realtime/v1/streams/{run_id}/input/{name}", access=Access.INPUT_READER, media=_EVENTS
)
async def read_input(call: Incoming[None]) -> Response:
    """Follow what a run is sent."""
    run = await call.server.read(stream.find_run, call.environment_id, call.path("run_id"))
    name = stream.input_name(_name(call))
    followed = await _followed(call, run, name)
    return _events(call, followed, _record, {"x-stream-version": "v2"})


@endpoint("GET", "/realtime/v1/streams/{run_id}/{name}", access=Access.RUN_READER, media=_EVENTS)
async def read_stream(call: Incoming[None]) -> Response:
    """Follow a stream of a run until the run is over."""
    run = await call.server.read(stream.find_run, call.environment_id, call.path("run_id"))
    return _events(call, await _followed(call, run, _name(call)), _event)


@endpoint(
    "GET",
    "/realtime/v1/streams/{run_id}/{target}/{name}",
    access=Access.STREAM_READER,
    media=_EVENTS,
)
async def read_target(call: Incoming[None]) -> Response:
    """Follow a stream of a run, its parent or its root."""
    run = await call.server.read(
        stream.find_run, call.environment_id, call.path("run_id"), _target(call)
    )
    return _events(call, await _followed(call, run, _name(call)), _event)


@dataclass(frozen=True, slots=True)
class _Followed:
    """What one reader follows, from where, and how long."""

    run: RunRow
    name: str
    position: int
    idle_s: float
    leave: Leave


async def _followed(call: Incoming[None], run: RunRow, name: str) -> _Followed:
    idle_s = _number(call, "timeout-seconds", _IDLE_S)
    if not 1 <= idle_s <= _LONGEST_IDLE_S:
        raise UsageError(
            f"Headers Error: timeout-seconds must be from 1 to {_LONGEST_IDLE_S}, not {idle_s}",
            code="INVALID_QUERY",
        )
    position = await _position(call, run, name)
    return _Followed(run, name, position, idle_s, Leave.of(call))


def _events(
    call: Incoming[None],
    followed: _Followed,
    show: Callable[[StreamChunkRow], str],
    headers: Mapping[str, str] | None = None,
) -> Response:
    cut = functools.partial(connection.cut, call.request.scope)
    return StreamingResponse(
        _follow(call.server, followed, show, cut),
        media_type=_EVENTS,
        headers={"cache-control": "no-store, no-transform", "x-accel-buffering": "no"}
        | dict(headers or {}),
    )


async def _position(call: Incoming[None], run: RunRow, name: str) -> int:
    """Return where a reader begins: after the last event it saw, at the end if it asks so, else in front."""
    last = call.request.headers.get("last-event-id", "").rpartition("-")[2]
    if last.isdecimal():
        return int(last) + 1
    if call.request.headers.get("x-trigger-stream-start") == "latest":
        return await call.server.units.read(stream.length, run.id, name)
    return 0


async def _follow(
    server: Server,
    followed: _Followed,
    show: Callable[[StreamChunkRow], str],
    cut: Callable[[], None],
) -> AsyncIterator[str]:
    """Yield what is there, then what comes; nobody looks for values while none come.

    Readers take an end for the end of the stream. Where there may be more, they are cut off, and come back.
    """
    clock = asyncio.get_running_loop().time
    run, name, position, leave = followed.run, followed.name, followed.position, followed.leave
    idle_at = clock() + followed.idle_s
    async with server.hub.subscribed(run.environment_id, run.id, name) as subscription:
        while await leave.holds():
            chunks, is_over = await server.units.read(_look, run.id, name, position)
            if chunks:
                yield "".join(map(show, chunks))
                position, idle_at = chunks[-1].position + 1, clock() + followed.idle_s
                continue
            if is_over:
                return
            while not await subscription.wait(min(_PING_S, idle_at - clock(), leave.left_s)):
                if clock() >= idle_at:
                    return
                yield ": ping\n\n"
                if not await leave.holds():
                    break
    cut()


def _look(u: Unit, run_id: str, name: str, position: int) -> tuple[list[StreamChunkRow], bool]:
    chunks = stream.page(u, run_id, name, position, _PAGE)
    run = u.tx.maybe("run_any", RunRow, id=run_id)
    return chunks, run is None or states.is_final(run.status)


def _event(chunk: StreamChunkRow) -> str:
    return f"id: {chunk.created_at}-{chunk.position}\ndata: {chunk.data}\n\n"


def _record(chunk: StreamChunkRow) -> str:
    """Return a value as the newer form has it; readers of input count by ``seq_num``."""
    inner = f'{{"data":{chunk.data},"id":"{chunk.position}"}}'
    record = {
        "seq_num": chunk.position,
        "timestamp": chunk.created_at,
        "body": inner,
        "headers": [],
    }
    tail = {"seq_num": chunk.position + 1, "timestamp": chunk.created_at}
    batch = json.dumps({"records": [record], "tail": tail}, ensure_ascii=False)
    return f"event: batch\nid: {chunk.position}\ndata: {batch}\n\n"


def _chunk(line: Line) -> str:
    """Return the text of a line; what is no JSON is kept as it is, like the original does."""
    if not line.is_whole:
        raise PayloadTooLargeError(
            f"a value of a stream has {line.size:,} bytes, {MAX_CHUNK_BYTES:,} are allowed",
            hint="send it in parts, or put it elsewhere and send its address",
        )
    text = line.content.decode(errors="replace").strip()
    return json.dumps(text) if "\r" in text else text


def _target(call: Incoming[Any]) -> Target:
    target = call.path("target")
    if target not in get_args(Target):
        raise UsageError(
            f"Params Error: the target must be self, parent or root, not {target!r}",
            code="INVALID_QUERY",
        )
    return cast("Target", target)


def _name(call: Incoming[Any]) -> str:
    name = call.path("name")
    if name.startswith("$") or len(name) > MAX_NAME:
        raise UsageError(
            f"Params Error: {name[:MAX_NAME]!r} cannot be the name of a stream",
            code="INVALID_QUERY",
        )
    return name


def _number(call: Incoming[None], header: str, default: int) -> int:
    text = call.request.headers.get(header, str(default))
    if not text.isdecimal() or len(text) > 18:
        raise ApiError(
            f"Headers Error: {header} must be a number, not {text!r}",
            status=400,
            code="INVALID_QUERY",
        )
    return int(text)
