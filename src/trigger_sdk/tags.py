"""Tags of the current run: ``await tags.add("user_1")``."""

from __future__ import annotations

from trigger_sdk import _lazy
from trigger_sdk.context import current_context

__all__ = ["add", "add_sync"]


async def add(*tags: str) -> None:
    """Add tags to the run this code executes in, ten in all; those it has already change nothing.

    Raises:
        TriggerError: the code does not execute in a run.
        ApiError: the run would have more than ten tags.
    """
    await _lazy.remote()().add_tags(current_context().run.id, tags)


def add_sync(*tags: str) -> None:
    """Add tags, blocking; see :func:`add`."""
    _lazy.remote()().add_tags_sync(current_context().run.id, tags)
