"""Streams of runs: writing, and sending and awaiting input (protocol C.3, C.4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from trigger_core.api.call import Call, reading
from trigger_core.schemas.streams import AwaitInput, InputAwaited, StreamDeclared, StreamWritten

__all__ = ["await_input", "declare", "path", "send", "write"]


def path(run_id: str, *parts: str) -> str:
    """Return the address of a stream."""
    return "/".join(["/realtime/v1/streams", *(quote(part, safe="") for part in (run_id, *parts))])


def declare(run_id: str, target: str, name: str) -> Call[StreamDeclared]:
    """Give a run, its parent or its root a stream."""
    return Call("PUT", path(run_id, target, name), reading(StreamDeclared))


def write(
    run_id: str, target: str, name: str, *, values: Sequence[str], client_id: str, first: int
) -> Call[None]:
    """Send values, JSON texts of one line each; sent twice they count once."""
    return Call(
        "POST",
        path(run_id, target, name),
        lambda _: None,
        content="".join(f"{value}\n" for value in values).encode(),
        headers={
            "content-type": "application/json",
            "x-client-id": client_id,
            "x-resume-from-chunk": str(first),
            "x-stream-version": "v1",
        },
    )


def send(run_id: str, name: str, value: Any) -> Call[StreamWritten]:
    """Send a run a value."""
    return Call(
        "POST",
        path(run_id, "input", name),
        reading(StreamWritten),
        body={"data": value},
        idempotent=False,
    )


def await_input(run_id: str, request: AwaitInput) -> Call[InputAwaited]:
    """Make a token that a value of an input stream completes."""
    return Call(
        "POST",
        f"/api/v1/runs/{quote(run_id, safe='')}/input-streams/wait",
        reading(InputAwaited),
        body=request.to_wire(),
    )
