"""Public tokens as the SDK makes them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from support.http import Platform
from support.live import listening
from trigger_core.errors import ConfigError, NotFoundError
from trigger_sdk import RunHandle, Scope, auth, task


def test_a_scope_becomes_texts_in_the_grammar_of_tokens() -> None:
    """Names, lists of them, or all of a kind."""
    scope = Scope(runs=["run_1", "run_2"], tags="env:prod", waitpoints=True, input_streams="run_1")

    assert list(scope.texts("read")) == [
        "read:runs:run_1",
        "read:runs:run_2",
        "read:tags:env:prod",
        "read:waitpoints",
        "read:inputStreams:run_1",
    ]
    assert list(Scope().texts("read")) == []


def test_a_scope_takes_what_has_an_id() -> None:
    """A task, the handle of a run: what one has at hand."""

    @task(id="greet")
    async def greet() -> None: ...

    handle = RunHandle("run_1", is_cached=False, public_access_token=None, read_output=str)
    scope = Scope(runs=[handle, "run_2"], tasks=greet)
    assert list(scope.texts("read")) == ["read:runs:run_1", "read:runs:run_2", "read:tasks:greet"]


async def test_a_token_that_allows_nothing_is_refused() -> None:
    """Before anything is asked."""
    with pytest.raises(ConfigError):
        await auth.create_public_token()
    with pytest.raises(ConfigError):
        auth.create_public_token_sync(read=Scope())


@pytest.fixture
async def platform(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Platform]:
    """A platform that the SDK finds by its variables."""
    async with listening() as opened:
        monkeypatch.setenv("TRIGGER_API_URL", opened.server.url)
        monkeypatch.setenv("TRIGGER_SECRET_KEY", opened.key)
        yield opened


async def test_a_token_is_revoked(platform: Platform) -> None:
    """By itself, or by the id of one that the platform signed; blocking too."""

    async def status(token: str) -> int:
        async with httpx.AsyncClient(base_url=platform.server.url) as http:
            headers = {"authorization": f"Bearer {token}"}
            return (await http.get("/api/v1/runs", headers=headers)).status_code

    first, second, third = [
        await auth.create_public_token(read=Scope(runs=True), expires_in=life)
        for life in ("1h", "2h", "3h")
    ]
    await auth.revoke_public_token(first)
    await asyncio.to_thread(auth.revoke_public_token_sync, second)
    await auth.revoke_public_token("0123456789abcdef")
    with pytest.raises(NotFoundError):
        await auth.revoke_public_token("a.b.c")

    assert [await status(one) for one in (first, second, third)] == [401, 401, 200]
