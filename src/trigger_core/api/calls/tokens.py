"""Waitpoint tokens (protocol A.13)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from trigger_core.api.call import Answer, Call, reading
from trigger_core.schemas.tokens import CreateToken, Done, TokenCreated, TokenDetail, TokenPage

__all__ = ["complete", "create", "list_page", "retrieve"]

_TOKENS = "/api/v1/waitpoints/tokens"


def create(request: CreateToken) -> Call[TokenCreated]:
    """Create a token."""
    return Call("POST", _TOKENS, _created, body=request.to_wire())


def complete(token_id: str, data: Any) -> Call[Done]:
    """Complete a token with data, given as JSON values."""
    path = f"{_TOKENS}/{quote(token_id, safe='')}/complete"
    return Call("POST", path, reading(Done), body={"data": data})


def retrieve(token_id: str) -> Call[TokenDetail]:
    """Read a token."""
    return Call("GET", f"{_TOKENS}/{quote(token_id, safe='')}", reading(TokenDetail))


def list_page(
    *, after: str | None = None, status: Sequence[str] = (), tags: Sequence[str] = ()
) -> Call[TokenPage]:
    """Read a page of tokens, newest first."""
    params = {
        "page[size]": "100",
        "page[after]": after or "",
        "filter[status]": ",".join(status),
        "filter[tags]": ",".join(tags),
    }
    given = {key: value for key, value in params.items() if value}
    return Call("GET", _TOKENS, reading(TokenPage), params=given)


def _created(answer: Answer) -> TokenCreated:
    token = answer.headers.get("x-trigger-jwt")
    created = TokenCreated.model_validate_json(answer.body)
    return created.model_copy(update={"public_access_token": token})
