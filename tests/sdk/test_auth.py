"""Public tokens as the SDK makes them."""

from __future__ import annotations

import pytest

from trigger_core.errors import ConfigError
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
