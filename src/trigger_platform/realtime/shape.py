"""Runs as the Electric client reads them: every value is PostgreSQL's text of it (protocol C.1.3, C.1.4)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

from trigger_core import clock
from trigger_core.duration import describe
from trigger_platform.engine import idempotency
from trigger_platform.store.rows import PayloadRow, RunRow

__all__ = ["Change", "Gone", "LiveRun", "Told", "View", "body", "must_refetch", "schema"]

Operation = Literal["insert", "update"]

_UP_TO_DATE = '{"headers":{"control":"up-to-date"}}'
_ALWAYS = frozenset({"id", "taskIdentifier", "friendlyId", "status", "createdAt", "updatedAt"})
_TEXT = {"type": "text"}
_MOMENT = {"type": "timestamp"}
_NUMBER = {"type": "int4"}
_MONEY = {"type": "float8"}


@dataclass(frozen=True, slots=True)
class View:
    """What a client wants to see: columns it leaves out, and whether it knows the status DEQUEUED."""

    skipped: frozenset[str] = frozenset()
    is_legacy: bool = False

    @staticmethod
    def of(skipped: Iterable[str], *, is_legacy: bool) -> View:
        """Return a view; the columns that make a run cannot be left out."""
        return View(frozenset(skipped) - _ALWAYS, is_legacy)

    @property
    def fingerprint(self) -> str:
        """The same for the same view."""
        return ",".join([*sorted(self.skipped), "legacy" if self.is_legacy else ""])


@dataclass(slots=True)
class LiveRun:
    """A run with everything that is shown of it; its texts are made once for all who follow it."""

    run: RunRow
    payload: PayloadRow | None
    output: str | None
    streams: tuple[str, ...]
    _messages: dict[tuple[View, Operation], str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The run's id."""
        return self.run.id

    @property
    def version(self) -> int:
        """A number that grows with every change."""
        return self.run.sequence + self.run.metadata_version

    def message(self, view: View, operation: Operation) -> str:
        """Return the change message that brings the whole row."""
        key = (view, operation)
        if key not in self._messages:
            values = {
                name: column.text(self)
                for name, column in _COLUMNS.items()
                if name not in view.skipped
            }
            if view.is_legacy and values["status"] == "DEQUEUED":
                values["status"] = "EXECUTING"
            self._messages[key] = _change(self.id, values, operation)
        return self._messages[key]


@dataclass(frozen=True, slots=True)
class Gone:
    """A run that is not there any more."""

    id: str
    version: int = 2**62

    def message(self, _view: View, _operation: Operation) -> str:
        """Return the change message that takes the row away."""
        return _change(self.id, {"id": self.id}, "delete")


Change = LiveRun | Gone


@dataclass(frozen=True, slots=True)
class Told:
    """A change that a client is told of; a row is new to it or changes the one it has."""

    change: Change
    operation: Operation


@cache
def schema(view: View) -> str:
    """Return the header that says which column has which type."""
    kinds = {name: column.kind for name, column in _COLUMNS.items() if name not in view.skipped}
    return json.dumps(kinds, separators=(",", ":"))


def body(told: Iterable[Told], view: View, *, is_up_to_date: bool) -> str:
    """Return the messages of an answer; rows are shown to the user after the last one alone."""
    messages = [one.change.message(view, one.operation) for one in told]
    if is_up_to_date:
        messages.append(_UP_TO_DATE)
    return f"[{','.join(messages)}]"


def must_refetch() -> str:
    """Return the message that makes a client begin anew."""
    return '[{"headers":{"control":"must-refetch"}}]'


def _change(run_id: str, values: Mapping[str, str | None], operation: str) -> str:
    message = {
        "key": f'"public"."TaskRun"/"{run_id}"',
        "value": values,
        "headers": {"operation": operation},
    }
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"))


def _moment(ms: int | None) -> str | None:
    """Return a moment without its zone: the client adds it."""
    return None if ms is None else clock.to_iso(ms).removesuffix("Z")


def _array(texts: Iterable[str]) -> str:
    """Return the literal of a PostgreSQL array."""
    quoted = (text.replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return "{" + ",".join(f'"{text}"' for text in quoted) + "}"


def _tags(live: LiveRun) -> str | None:
    return _array(json.loads(live.run.tags)) if live.run.tags else None


@dataclass(frozen=True, slots=True)
class _Column:
    kind: Mapping[str, object]
    text: Callable[[LiveRun], str | None]


_COLUMNS: Mapping[str, _Column] = {
    "id": _Column(_TEXT, lambda live: live.run.id),
    "friendlyId": _Column(_TEXT, lambda live: live.run.id),
    "taskIdentifier": _Column(_TEXT, lambda live: live.run.task),
    "status": _Column(_TEXT, lambda live: live.run.status),
    "createdAt": _Column(_MOMENT, lambda live: _moment(live.run.created_at)),
    "updatedAt": _Column(_MOMENT, lambda live: _moment(live.run.updated_at)),
    "startedAt": _Column(_MOMENT, lambda live: _moment(live.run.started_at)),
    "delayUntil": _Column(_MOMENT, lambda live: _moment(live.run.delay_until)),
    "queuedAt": _Column(_MOMENT, lambda live: _moment(live.run.queued_at)),
    "expiredAt": _Column(_MOMENT, lambda live: _moment(live.run.expired_at)),
    "completedAt": _Column(_MOMENT, lambda live: _moment(live.run.completed_at)),
    "idempotencyKey": _Column(_TEXT, lambda live: idempotency.written(live.run)),
    "number": _Column(_NUMBER, lambda _: "0"),
    "isTest": _Column({"type": "bool"}, lambda live: "t" if live.run.is_test else "f"),
    "usageDurationMs": _Column(_NUMBER, lambda live: str(live.run.usage_ms)),
    "costInCents": _Column(_MONEY, lambda _: "0"),
    "baseCostInCents": _Column(_MONEY, lambda _: "0"),
    "ttl": _Column(
        _TEXT, lambda live: None if live.run.ttl_ms is None else describe(live.run.ttl_ms)
    ),
    "payload": _Column(_TEXT, lambda live: live.payload.data if live.payload else None),
    "payloadType": _Column(_TEXT, lambda live: live.payload.type if live.payload else None),
    "metadata": _Column(_TEXT, lambda live: live.run.metadata),
    "metadataType": _Column(
        _TEXT, lambda live: None if live.run.metadata is None else "application/json"
    ),
    "output": _Column(_TEXT, lambda live: live.output),
    "outputType": _Column(_TEXT, lambda live: live.run.output_type),
    "runTags": _Column({"type": "text", "dims": 1}, _tags),
    "error": _Column({"type": "jsonb"}, lambda live: live.run.error),
    "realtimeStreams": _Column({"type": "text", "dims": 1}, lambda live: _array(live.streams)),
}
