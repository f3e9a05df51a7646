"""Packets: a value as text and the type of that text (protocol 0.10)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import PurePath
from re import Pattern
from typing import Any
from uuid import UUID

from trigger_core import superjson
from trigger_core.errors import UsageError

__all__ = [
    "JSON",
    "MAX_PAYLOAD_BYTES",
    "STORE",
    "SUPERJSON",
    "TEXT",
    "Packet",
    "UnserializableError",
    "decode",
    "encode",
    "to_plain",
]

JSON = "application/json"
SUPERJSON = "application/super+json"
TEXT = "text/plain"
STORE = "application/store"
"""The data is the path of a packet that lies elsewhere, with a type of its own."""

MAX_PAYLOAD_BYTES = 3 * 1024 * 1024
"""The largest payload that is accepted."""


class UnserializableError(UsageError):
    """A value cannot be written as JSON."""

    code = "UNSERIALIZABLE_VALUE"
    status = 422

    def __init__(self, path: str, value: object) -> None:
        super().__init__(
            f"{path} cannot be serialized: {type(value).__module__}.{type(value).__qualname__}",
            hint="return JSON values, dataclasses or pydantic models; "
            "convert other objects before passing them on",
        )


@dataclass(frozen=True, slots=True)
class Packet:
    """A value as text; ``data`` is ``None`` when there is no value."""

    data: str | None
    type: str

    @property
    def size(self) -> int:
        """The length of the text in bytes."""
        return len(self.data.encode()) if self.data else 0


def encode(value: Any, *, name: str = "value") -> Packet:
    """Write a value: text as it is, plain JSON as JSON, anything with dates, sets and the like as superjson.

    Args:
        value: JSON values, dataclasses, pydantic models, enums, dates, sets, UUIDs, decimals, paths.
        name: how the value is called in an error, for example ``payload``.

    Raises:
        UnserializableError: a part of the value is none of these; the message names the part.
    """
    if value is None:
        return Packet(None, JSON)
    if isinstance(value, str) and not isinstance(value, Enum):
        return Packet(value, TEXT)
    simple = _simplify(value, name, ())
    if _has_special(simple):
        return Packet(superjson.encode(simple), SUPERJSON)
    return Packet(json.dumps(simple, ensure_ascii=False, separators=(",", ":")), JSON)


def decode(data: str | None, kind: str) -> Any:
    """Read a packet, with dates, sets and the like as themselves."""
    if data is None or data == "":
        return "" if kind == TEXT and data == "" else None
    if kind == SUPERJSON:
        return superjson.decode(data)
    return json.loads(data) if kind == JSON else data


def to_plain(data: str | None, kind: str) -> Any:
    """Read a packet as plain JSON values: a date stays text, a set a list; what lies elsewhere is nothing."""
    if kind == STORE:
        return None
    if data and kind == SUPERJSON:
        return json.loads(data).get("json")
    return decode(data, kind)


def _simplify(value: Any, path: str, above: tuple[int, ...]) -> Any:
    """Return the value in JSON values and those superjson knows."""
    if value is None or isinstance(value, bool | datetime | Pattern | BaseException):
        return value
    if isinstance(value, Enum):
        return _simplify(value.value, path, above)
    if isinstance(value, str | int | float):
        return value
    text = _as_text(value)
    if text is not None:
        return text
    if id(value) in above:
        raise UnserializableError(f"{path} (it contains itself)", value)
    return _simplify_container(value, path, (*above, id(value)))


def _as_text(value: Any) -> str | None:
    if isinstance(value, UUID | Decimal | PurePath):
        return str(value)
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return f"PT{value.total_seconds():g}S"
    return None


def _simplify_container(value: Any, path: str, above: tuple[int, ...]) -> Any:
    if isinstance(value, Mapping):
        return {
            _key(key, path): _simplify(item, f"{path}.{key}", above) for key, item in value.items()
        }
    if isinstance(value, set | frozenset):
        return {_simplify(item, f"{path}{{}}", above) for item in value}
    if isinstance(value, list | tuple):
        return [_simplify(item, f"{path}[{i}]", above) for i, item in enumerate(value)]
    dump = getattr(value, "model_dump", None)
    if callable(dump) and not isinstance(value, type):
        return _simplify(dump(mode="python", by_alias=True), path, above)
    if is_dataclass(value) and not isinstance(value, type):
        return _simplify(asdict(value), path, above)
    raise UnserializableError(path, value)


def _key(key: Any, path: str) -> Any:
    if isinstance(key, Enum):
        return _key(key.value, path)
    if isinstance(key, str | int | float | bool | datetime) or key is None:
        return key
    text = _as_text(key)
    if text is None:
        raise UnserializableError(f"a key of {path}", key)
    return text


def _has_special(value: Any) -> bool:
    if superjson.is_special(value):
        return True
    if isinstance(value, dict):
        return any(_has_special(item) for item in value.values())
    return isinstance(value, list) and any(_has_special(item) for item in value)
