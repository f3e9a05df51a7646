"""Following rows by the Electric protocol, without sending anything (protocol C.1).

A :class:`ShapeReader` says what to ask next and is told the answer. Rows come as PostgreSQL's texts; the
schema says what they are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trigger_core.errors import TriggerError

__all__ = ["ELECTRIC_HEADERS", "ShapeReader", "array"]

ELECTRIC_HEADERS = {"x-trigger-electric-version": "1.0.0-beta.1"}
_FROM_THE_START = "-1"
_CONFLICT = 409

Row = dict[str, Any]


@dataclass(slots=True)
class ShapeReader:
    """Where a follower is: what it asks next, and the rows it has."""

    handle: str | None = None
    offset: str = _FROM_THE_START
    cursor: str | None = None
    is_up_to_date: bool = False
    _schema: Mapping[str, Any] = field(default_factory=dict)
    _rows: dict[str, Row] = field(default_factory=dict)
    _changed: dict[str, None] = field(default_factory=dict)

    def params(self) -> dict[str, str]:
        """Return what the next request asks for; once up to date, it waits for changes."""
        asked = {"log": "full", "offset": self.offset}
        if self.handle is not None:
            asked["handle"] = self.handle
        if self.is_up_to_date:
            asked |= {"live": "true", "cursor": self.cursor or ""}
        return dict(sorted(asked.items()))

    def read(self, status: int, headers: Mapping[str, str], body: bytes) -> list[Row]:
        """Take an answer, 200 or 409; return the rows that are new or have changed.

        Raises:
            TriggerError: the answer is none of this protocol.
        """
        if status == _CONFLICT:
            self._begin_anew(headers.get("electric-handle"))
            return []
        if "electric-handle" not in headers or "electric-offset" not in headers:
            raise TriggerError(
                "the platform's answer cannot be followed",
                code="SHAPE_UNREADABLE",
                because="it has no electric-handle or electric-offset",
                hint="a proxy in between may remove headers",
            )
        self.handle, self.offset = headers["electric-handle"], headers["electric-offset"]
        self.cursor = headers.get("electric-cursor", self.cursor)
        if "electric-schema" in headers:
            self._schema = json.loads(headers["electric-schema"])
        for message in json.loads(body or b"[]"):
            self._take(message)
        return self._told() if self.is_up_to_date else []

    def _take(self, message: Mapping[str, Any]) -> None:
        if "control" in message["headers"]:
            self.is_up_to_date = message["headers"]["control"] == "up-to-date"
            return
        key, operation = message["key"], message["headers"]["operation"]
        if operation == "delete":
            self._rows.pop(key, None)
            self._changed.pop(key, None)
            return
        values = {name: self._value(name, text) for name, text in message["value"].items()}
        self._rows[key] = self._rows.get(key, {}) | values
        self._changed[key] = None

    def _told(self) -> list[Row]:
        rows = [self._rows[key] for key in self._changed]
        self._changed.clear()
        return rows

    def _begin_anew(self, handle: str | None) -> None:
        self.handle, self.offset = handle, _FROM_THE_START
        self.is_up_to_date = False
        self._rows.clear()
        self._changed.clear()

    def _value(self, name: str, text: str | None) -> Any:
        kind = self._schema.get(name, {})
        if text is None:
            return None
        if kind.get("dims"):
            return array(text)
        return _READ.get(kind.get("type", "text"), str)(text)


def array(literal: str) -> list[str]:
    """Return the texts of a one-dimensional array literal such as ``{"a","b c"}``."""
    texts: list[str] = []
    begun: list[str] = []
    is_quoted = False
    characters = iter(literal[1:-1])
    for one in characters:
        if one == "\\" and is_quoted:
            begun.append(next(characters))
        elif one == '"':
            is_quoted = not is_quoted
        elif one == "," and not is_quoted:
            texts.append("".join(begun))
            begun.clear()
        else:
            begun.append(one)
    return [*texts, "".join(begun)] if len(literal) > len("{}") else []


def _moment(text: str) -> str:
    """Return a moment in ISO 8601; the zone is UTC though it is not said."""
    return text.replace(" ", "T") + "Z"


def _flag(text: str) -> bool:
    return text in {"t", "true"}


_READ: Mapping[str, Callable[[str], Any]] = {
    "bool": _flag,
    "float8": float,
    "int4": int,
    "jsonb": json.loads,
    "timestamp": _moment,
}
