"""Streams of a run: what it sends while it goes on, and what it is sent (protocol C.2-C.4).

A value gets its position when it is written; the stream's row is the lock under which that happens. A writer
that names itself and numbers its values may send some of them twice after a broken connection: they count
once. A stream lives and dies with its run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from trigger_core.errors import ApiError, PayloadTooLargeError, RunNotFoundError
from trigger_platform.engine import states, waitpoint
from trigger_platform.engine.unit import Unit
from trigger_platform.engine.waitpoint import Completion
from trigger_platform.store.rows import EnvironmentRow, RunRow, StreamChunkRow, StreamRow

__all__ = [
    "MAX_CHUNK_BYTES",
    "MAX_NAME",
    "Target",
    "Writer",
    "append",
    "await_input",
    "declare",
    "find_run",
    "input_name",
    "last_index",
    "length",
    "page",
    "send",
    "subject",
]

Target = Literal["self", "parent", "root"]

MAX_CHUNK_BYTES = 1024 * 1024
MAX_NAME = 256
_MAX_STREAM_BYTES = 64 * 1024 * 1024
_INPUT = "$trigger.input:"


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes, and which of its values comes first."""

    client_id: str
    first_index: int


def input_name(name: str) -> str:
    """Return the inner name of a stream that the run reads."""
    return _INPUT + name


def subject(run_id: str, name: str) -> str:
    """Return by which name followers hear of a stream."""
    return f"{run_id}/{name}"


def find_run(u: Unit, environment: EnvironmentRow, run_id: str, target: Target = "self") -> RunRow:
    """Return the run that has a stream: the one named, its parent or its root, itself if it has none.

    Raises:
        NotFoundError: the environment has no such run.
    """
    run = _run(u, environment, run_id)
    relative = {"self": None, "parent": run.parent_id, "root": run.root_id}[target]
    return run if relative is None else _run(u, environment, relative)


def declare(u: Unit, environment: EnvironmentRow, run_id: str, target: Target, name: str) -> RunRow:
    """Give a run a stream, if it has none of this name; who follows the run sees it.

    Raises:
        NotFoundError: the environment has no such run.
        ApiError: the run is over.
    """
    run = _writable(find_run(u, environment, run_id, target))
    _open(u, run, name)
    return run


def append(
    u: Unit,
    environment: EnvironmentRow,
    run_id: str,
    name: str,
    chunks: Sequence[str],
    *,
    writer: Writer | None = None,
) -> int:
    """Write values, JSON texts, at the end of a stream; return its length.

    Raises:
        NotFoundError: the environment has no such run.
        ApiError: the run is over.
        PayloadTooLargeError: the stream would become too long.
    """
    run = _writable(_run(u, environment, run_id))
    row = _open(u, run, name)
    fresh = _fresh(u, row, chunks, writer)
    if not fresh:
        return row.length
    size = row.bytes + sum(len(chunk.encode()) for chunk in fresh)
    if size > _MAX_STREAM_BYTES:
        raise PayloadTooLargeError(
            f"the stream {name!r} would have {size:,} bytes, {_MAX_STREAM_BYTES:,} are allowed",
            hint="put large data elsewhere and send their addresses",
        )
    u.record(
        "stream_chunk_insert",
        [
            StreamChunkRow(run.id, name, row.length + number, chunk, u.now)
            for number, chunk in enumerate(fresh)
        ],
    )
    length = row.length + len(fresh)
    u.tx.run("stream_grow", run_id=run.id, name=name, length=length, bytes=size)
    u.streams.add(subject(run.id, name))
    return length


def last_index(u: Unit, environment: EnvironmentRow, run_id: str, name: str, client_id: str) -> int:
    """Return the number of the last value that a writer sent; -1 before the first.

    Raises:
        NotFoundError: the environment has no such run.
    """
    return _last_index(u, _run(u, environment, run_id).id, name, client_id)


def length(u: Unit, run_id: str, name: str) -> int:
    """Return how many values went through a stream."""
    row = u.tx.maybe("stream_get", StreamRow, run_id=run_id, name=name)
    return 0 if row is None else row.length


def page(u: Unit, run_id: str, name: str, position: int, limit: int) -> list[StreamChunkRow]:
    """Return values from a position on."""
    return u.tx.all(
        "stream_chunks", StreamChunkRow, run_id=run_id, name=name, position=position, limit=limit
    )


def send(u: Unit, environment: EnvironmentRow, run_id: str, name: str, value: str) -> None:
    """Send a run a value, a JSON text; if it waits for it, it goes on.

    Raises:
        NotFoundError, ApiError, PayloadTooLargeError: as :func:`append` does.
    """
    inner = input_name(name)
    position = append(u, environment, run_id, inner, [value]) - 1
    waiting = u.tx.all("stream_waits_take", _Wait, run_id=run_id, name=inner, position=position)
    waitpoint.complete(u, [_arrived(one.waitpoint_id, value) for one in waiting])


def await_input(
    u: Unit, environment: EnvironmentRow, run_id: str, name: str, *, after: int, token_id: str
) -> None:
    """Let a fresh token be completed by the value of an input stream that comes after a position.

    Raises:
        NotFoundError: the environment has no such run.
        ApiError: the run is over.
    """
    run = _writable(_run(u, environment, run_id))
    inner, position = input_name(name), after + 1
    row = _open(u, run, inner)
    if position >= row.length:
        u.tx.run(
            "stream_wait_insert",
            waitpoint_id=token_id,
            run_id=run.id,
            name=inner,
            position=position,
        )
        return
    [chunk] = page(u, run.id, inner, position, 1)
    waitpoint.complete(u, [_arrived(token_id, chunk.data)])


@dataclass(frozen=True, slots=True)
class _Wait:
    waitpoint_id: str
    position: int


def _arrived(waitpoint_id: str, value: str) -> Completion:
    return Completion(waitpoint_id, value, "application/json")


def _run(u: Unit, environment: EnvironmentRow, run_id: str) -> RunRow:
    run = u.tx.maybe("run_by_id", RunRow, id=run_id, environment_id=environment.id)
    if run is None:
        raise RunNotFoundError(run_id)
    return run


def _writable(run: RunRow) -> RunRow:
    if states.is_final(run.status):
        raise ApiError(
            f"run {run.id} is over, its streams are closed", status=400, code="STREAM_CLOSED"
        )
    return run


def _open(u: Unit, run: RunRow, name: str) -> StreamRow:
    """Return a stream, taken; a new one changes what is shown of the run."""
    if u.tx.run("stream_insert", run_id=run.id, name=name, now=u.now) and not name.startswith("$"):
        u.tx.run("run_touch", id=run.id, now=u.now)
        u.emit(run.environment_id, "run.changed", run.id, run.sequence)
    return u.tx.one("stream_locked", StreamRow, run_id=run.id, name=name)


def _fresh(u: Unit, row: StreamRow, chunks: Sequence[str], writer: Writer | None) -> Sequence[str]:
    """Return the values that a writer did not send before, and remember that it did."""
    if writer is None or not chunks:
        return chunks
    known = _last_index(u, row.run_id, row.name, writer.client_id)
    last = writer.first_index + len(chunks) - 1
    if last <= known:
        return ()
    u.tx.run(
        "stream_writer_set",
        run_id=row.run_id,
        name=row.name,
        client_id=writer.client_id,
        last_index=last,
    )
    return chunks[max(0, known + 1 - writer.first_index) :]


def _last_index(u: Unit, run_id: str, name: str, client_id: str) -> int:
    found: int | None = u.tx.scalar(
        "stream_writer_get", run_id=run_id, name=name, client_id=client_id
    )
    return -1 if found is None else found
