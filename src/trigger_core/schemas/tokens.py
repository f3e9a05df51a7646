"""Waitpoint tokens (protocol A.13) and the waits of a run (A.16)."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from pydantic import ConfigDict, Field

from trigger_core.schemas.base import WireModel
from trigger_core.schemas.runs import Page
from trigger_core.schemas.trigger import Key, Tag

__all__ = [
    "CompleteToken",
    "CreateToken",
    "Done",
    "TokenCreated",
    "TokenDetail",
    "TokenPage",
    "TokenStatus",
    "WaitFor",
    "WaitForStarted",
    "WaitpointId",
]

TokenStatus: TypeAlias = Literal["WAITING", "COMPLETED", "TIMED_OUT"]


class CreateToken(WireModel):
    """The body of ``POST /api/v1/waitpoints/tokens``."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"timeout": "1h", "tags": ["order_1"]}]}
    )

    timeout: str | None = None
    tags: list[Tag] | Tag | None = None
    idempotency_key: Key | None = None
    idempotency_key_ttl: str | None = Field(default=None, alias="idempotencyKeyTTL")


class TokenCreated(WireModel):
    """The answer: the token, and the address that completes it without a key."""

    id: str
    is_cached: bool
    url: str
    public_access_token: str | None = None


class TokenDetail(WireModel):
    """One token; its output is a packet."""

    id: str
    url: str
    status: TokenStatus
    created_at: str
    completed_at: str | None = None
    timeout_at: str | None = None
    completed_after: str | None = None
    idempotency_key: str | None = None
    idempotency_key_expires_at: str | None = None
    tags: list[str] = []
    output: str | None = None
    output_type: str | None = None
    output_is_error: bool | None = None


class TokenPage(WireModel):
    """A page of tokens, newest first."""

    data: list[TokenDetail]
    pagination: Page = Page()


class CompleteToken(WireModel):
    """The body of ``POST /api/v1/waitpoints/tokens/{id}/complete``."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"data": {"approved": True}}]})

    data: Any = None


class Done(WireModel):
    """It is done."""

    success: bool = True


class WaitFor(WireModel):
    """The body of ``POST /engine/v1/runs/{id}/wait/duration``: wait until ``date``."""

    date: str
    idempotency_key: Key | None = None
    idempotency_key_ttl: str | None = Field(default=None, alias="idempotencyKeyTTL")


class WaitpointId(WireModel):
    """A waitpoint by its id."""

    id: str


class WaitForStarted(WireModel):
    """The answer: until when, and the waitpoint that ends it."""

    wait_until: str
    waitpoint: WaitpointId
