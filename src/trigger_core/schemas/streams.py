"""Streams of runs (protocol C.2-C.4)."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from trigger_core.schemas.base import WireModel
from trigger_core.schemas.tokens import CreateToken

__all__ = ["AwaitInput", "InputAwaited", "SendInput", "StreamDeclared", "StreamWritten"]


class StreamDeclared(WireModel):
    """The answer to ``PUT …/streams/{run}/{target}/{name}``: values are sent to the same address."""

    version: str = "v1"


class StreamWritten(WireModel):
    """The answer to an append or a sent input."""

    ok: bool = True


class SendInput(WireModel):
    """The body of ``POST …/streams/{run}/input/{name}``."""

    data: Any = None


class AwaitInput(CreateToken):
    """The body of ``POST /api/v1/runs/{id}/input-streams/wait``: the value after the last one seen."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"streamId": "approvals", "timeout": "1h"}]}
    )

    stream_id: str = Field(min_length=1, max_length=256)
    last_seq_num: int | None = Field(default=None, ge=-1)


class InputAwaited(WireModel):
    """The answer: the token that the value completes."""

    waitpoint_id: str
    is_cached: bool
