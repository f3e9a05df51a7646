"""Operations on a run's metadata, and what they do to it (protocol A.7).

A key that begins with ``$.`` is a path into the object (``$.steps[0].name``); any other key is one member,
dots and all. Names that would reach into the prototype of a JavaScript client's object are refused.
"""

from __future__ import annotations

import copy
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from trigger_core.errors import PayloadTooLargeError, UsageError

__all__ = ["MAX_BYTES", "Operation", "OperationType", "apply", "checked"]

MAX_BYTES = 256 * 1024
"""The largest metadata of a run, as JSON text."""

OperationType: TypeAlias = Literal["set", "delete", "append", "remove", "increment", "update"]

_REFUSED = frozenset({"__proto__", "constructor", "prototype"})
_STEP = re.compile(r"""\.?([^.\[\]]+)|\[(\d+)\]|\[(?:"([^"]*)"|'([^']*)')\]""")


@dataclass(frozen=True, slots=True)
class Operation:
    """One change.

    ``append`` and ``remove`` work on a list, ``increment`` on a number (missing counts as 0), ``update``
    replaces the whole object and has no key.
    """

    type: OperationType
    key: str = ""
    value: Any = None

    def __post_init__(self) -> None:
        """Refuse a value that does not fit the type."""
        if self.type == "increment" and not _is_number(self.value):
            raise ValueError(f"increment needs a finite number, not {self.value!r}")
        if self.type == "update" and not isinstance(self.value, dict):
            raise ValueError("update needs an object")
        if self.type != "update" and not self.key:
            raise ValueError(f"{self.type} needs a key")


def apply(current: dict[str, Any], operations: Iterable[Operation]) -> dict[str, Any]:
    """Return the metadata after operations, in order; ``current`` stays as it is.

    An operation that finds nothing to work on (removing from what is no list) changes nothing.

    Raises:
        UsageError: a key is refused, or a path leads beyond the end of a list.
    """
    after = copy.deepcopy(current)
    for operation in operations:
        after = _apply_one(after, operation)
    return after


def checked(metadata: dict[str, Any]) -> str:
    """Return metadata as JSON text.

    Raises:
        UsageError: a number has no JSON form.
        PayloadTooLargeError: it has more than 256 KiB.
    """
    try:
        text = json.dumps(metadata, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise _invalid("metadata has no JSON form", because=str(error)) from error
    size = len(text.encode())
    if size > MAX_BYTES:
        raise PayloadTooLargeError(
            f"the metadata has {size:,} bytes, {MAX_BYTES:,} are allowed",
            code="METADATA_TOO_LARGE",
            hint="keep large values in an object store and their addresses in the metadata",
        )
    return text


def _apply_one(root: dict[str, Any], operation: Operation) -> dict[str, Any]:
    value = copy.deepcopy(operation.value)
    path = _path(operation.key)
    found = _find(root, path)
    match operation.type:
        case "update":
            root = value
        case "set":
            _put(root, path, value)
        case "delete":
            _delete(root, path)
        case "append":
            _put(root, path, [*_as_list(found), value])
        case "remove":
            if isinstance(found, list):
                _put(root, path, [one for one in found if not _is_same(one, value)])
        case "increment":
            _put(root, path, (found if _is_number(found) else 0) + value)
    return root


def _path(key: str) -> list[str]:
    steps = _split(key) if key.startswith("$.") else [key]
    refused = _REFUSED.intersection(steps)
    if refused:
        raise _invalid(f"{min(refused)!r} cannot be a key of metadata")
    return steps


def _split(key: str) -> list[str]:
    steps: list[str] = []
    at = 1
    while at < len(key):
        step = _STEP.match(key, at)
        if step is None:
            raise _invalid(f"{key!r} is no path", hint="write it like $.steps[0].name")
        steps.append(next(part for part in step.groups() if part is not None))
        at = step.end()
    if not steps:
        raise _invalid(f"{key!r} is no path", hint="write it like $.steps[0].name")
    return steps


def _find(root: Any, path: list[str]) -> Any:
    """Return what a path leads to, ``None`` if it leads nowhere."""
    for step in path:
        if isinstance(root, list):
            root = root[int(step)] if step.isdecimal() and int(step) < len(root) else None
        else:
            root = root.get(step) if isinstance(root, dict) else None
    return root


def _put(root: Any, path: list[str], value: Any) -> None:
    """Write a value; what is missing on the way becomes an object, and so does what cannot hold a member."""
    for step in path[:-1]:
        inner = _find(root, [step])
        if not isinstance(inner, dict | list):
            inner = {}
            _assign(root, step, inner)
        root = inner
    _assign(root, path[-1], value)


def _assign(holder: Any, step: str, value: Any) -> None:
    if isinstance(holder, dict):
        holder[step] = value
        return
    if not step.isdecimal() or int(step) > len(holder):
        raise _invalid(f"{step!r} is no place in a list of {len(holder)}")
    holder[int(step) : int(step) + 1] = [value]


def _delete(root: Any, path: list[str]) -> None:
    holder = _find(root, path[:-1])
    if isinstance(holder, dict):
        holder.pop(path[-1], None)
    elif isinstance(holder, list) and path[-1].isdecimal():
        del holder[int(path[-1]) : int(path[-1]) + 1]


def _as_list(found: Any) -> list[Any]:
    if found is None:
        return []
    return found if isinstance(found, list) else [found]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_same(one: Any, other: Any) -> bool:
    """In JSON ``true`` is not ``1``."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _invalid(what: str, *, because: str | None = None, hint: str | None = None) -> UsageError:
    return UsageError(what, code="INVALID_METADATA", because=because, hint=hint)
