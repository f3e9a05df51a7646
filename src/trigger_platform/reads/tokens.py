"""Waitpoint tokens as the API shows them: pages, newest first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from trigger_platform.engine.unit import Unit
from trigger_platform.store.rows import EnvironmentRow, WaitpointRow

__all__ = ["Filters", "TokenPageRows", "page"]

_EVER = 2**62


@dataclass(frozen=True, slots=True)
class Filters:
    """Which tokens; ``statuses`` are ``WAITING``, ``COMPLETED``, ``TIMED_OUT``, empty means any.

    ``created_from`` and ``created_to`` are moments (ms), both inclusive.
    """

    statuses: Sequence[str] = ()
    tags: Sequence[str] = ()
    key: str = ""
    created_from: int | None = None
    created_to: int | None = None
    size: int = 25
    after: str = ""
    before: str = ""


@dataclass(frozen=True, slots=True)
class TokenPageRows:
    """A page, newest first, and the cursors to its neighbours."""

    tokens: list[WaitpointRow]
    next: str | None
    previous: str | None


def page(u: Unit, environment: EnvironmentRow, filters: Filters) -> TokenPageRows:
    """Return a page of tokens."""
    params = {
        "environment_id": environment.id,
        "statuses": json.dumps(list(filters.statuses)),
        "tags": json.dumps(list(filters.tags)),
        "key": filters.key,
        "created_from": filters.created_from or 0,
        "created_to": _EVER if filters.created_to is None else filters.created_to,
        "limit": filters.size + 1,
    }
    if filters.before:
        found = u.tx.all("read_tokens_newer", WaitpointRow, after=filters.before, **params)
        tokens = found[: filters.size][::-1]
        more = tokens[0].id if len(found) > filters.size else None
        return TokenPageRows(tokens, next=tokens[-1].id if tokens else None, previous=more)
    found = u.tx.all("read_tokens", WaitpointRow, before=filters.after, **params)
    tokens = found[: filters.size]
    more = tokens[-1].id if len(found) > filters.size else None
    back = tokens[0].id if filters.after and tokens else None
    return TokenPageRows(tokens, next=more, previous=back)
