"""The metadata namespace, as a task's code and a plain call of it see it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from trigger_core.errors import PayloadTooLargeError, UsageError
from trigger_sdk import metadata
from trigger_sdk._host import ActiveRun, RunHost, current_run
from trigger_sdk.context import Context, RunContext


@dataclass
class _Host:
    """Keeps what it is told."""

    told: list[tuple[str, str, str, Any]] = field(default_factory=list)

    def change_metadata(self, target: str, operation: dict[str, Any]) -> None:
        self.told.append((target, operation["type"], operation["key"], operation["value"]))


@dataclass
class _Ctx:
    run: RunContext


@pytest.fixture
def host() -> Iterator[_Host]:
    """A run with a parent and some metadata."""
    host = _Host()
    moment = datetime.now(UTC)
    run = RunContext("run_1", moment, moment, "1", 3, parent_id="run_0")
    active = ActiveRun(cast("Context", _Ctx(run)), cast("RunHost", host), {"n": 1})
    token = current_run.set(active)
    yield host
    current_run.reset(token)


def test_changes_are_told_and_seen_at_once(host: _Host) -> None:
    """In order; calls can be chained."""
    metadata.increment("n", 2).decrement("n").set("$.a.b", [1]).append("$.a.b", 2).remove("x", 1)
    metadata.update({"c": 1}, d=2).delete("c")

    assert metadata.current() == {"n": 2, "a": {"b": [1, 2]}, "d": 2}
    assert metadata.get("n") == 2
    assert metadata.get("none", "default") == "default"
    assert host.told[0] == ("run", "increment", "n", 2)
    assert len(host.told) == 8
    metadata.replace({"new": True})
    assert metadata.current() == {"new": True}


def test_what_is_read_is_a_copy(host: _Host) -> None:
    """Changing it changes nothing."""
    metadata.set("a", {"b": 1})
    metadata.current()["a"]["b"] = 2

    assert metadata.get("a") == {"b": 1}


def test_relatives_are_changed_and_not_seen(host: _Host) -> None:
    """Their metadata is not here."""
    metadata.parent.increment("done")
    metadata.root.append("log", datetime(2030, 1, 1, tzinfo=UTC))

    assert metadata.current() == {"n": 1}
    assert [one[0] for one in host.told] == ["parent", "root"]
    assert str(host.told[1][3]).startswith("2030-01-01")


def test_a_bad_change_is_refused_where_it_is_made(host: _Host) -> None:
    """And told to nobody."""
    with pytest.raises(UsageError):
        metadata.set("__proto__", 1)
    with pytest.raises(UsageError):
        metadata.parent.set("$.", 1)
    with pytest.raises(PayloadTooLargeError):
        metadata.set("a", "x" * 300_000)
    with pytest.raises(UsageError):
        metadata.set("a", object())

    assert (host.told, metadata.current()) == ([], {"n": 1})


async def test_outside_of_a_run_nothing_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """A plain call of a task's function goes on working; a line says so."""
    with caplog.at_level(logging.WARNING, "trigger"):
        metadata.set("a", 1).increment("n")
        metadata.root.append("log", "x")
        await metadata.flush()
        metadata.flush_sync()

    assert (metadata.current(), metadata.get("a")) == ({}, None)
    assert "not kept" in caplog.text
