"""A client of run feeds that behaves as the official one does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

CURRENT = {"x-trigger-api-version": "2025-07-16", "x-trigger-electric-version": "1.0.0-beta.1"}
LAST = {"headers": {"control": "up-to-date"}}


@dataclass
class Follower:
    """It keeps handle and offset, and asks live once it is up to date."""

    http: httpx.AsyncClient
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=lambda: CURRENT)
    state: dict[str, str] = field(default_factory=lambda: {"offset": "-1"})
    is_up_to_date: bool = False

    async def ask(self) -> list[dict[str, Any]]:
        """Send the next request; return its change messages."""
        asked = {"log": "full", **self.params, **self.state}
        if self.is_up_to_date:
            asked["live"] = "true"
        answer = await self.http.get(self.path, params=asked, headers=dict(self.headers))
        assert answer.status_code == 200, answer.text
        required = "electric-cursor" if self.is_up_to_date else "electric-schema"
        assert required in answer.headers
        messages: list[dict[str, Any]] = answer.json()
        self.is_up_to_date = messages[-1] == LAST
        assert ("electric-up-to-date" in answer.headers) == self.is_up_to_date
        self.state = {
            "handle": answer.headers["electric-handle"],
            "offset": answer.headers["electric-offset"],
        }
        return [message for message in messages if "value" in message]

    async def rows(self) -> list[dict[str, Any]]:
        """Return the rows of the next answer."""
        return [message["value"] for message in await self.ask()]

    def waits(self) -> asyncio.Task[list[dict[str, Any]]]:
        """Begin to wait for the next answer."""
        return asyncio.create_task(self.rows())
