"""superjson: JSON with a note of which values are more than JSON (protocol 0.10).

``{"json": <plain>, "meta": {"values": {<path>: [<type>]}}}``; a path is dotted, dots in keys are escaped.

| Python | superjson |
|---|---|
| ``datetime`` | Date (milliseconds) |
| ``set``, ``frozenset`` | set |
| ``dict`` with keys that are not text | map |
| ``int`` beyond 2**53 | bigint |
| NaN, infinities | number |
| ``re.Pattern`` | regexp |
| an exception | Error |
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

__all__ = ["SAFE_INTEGER", "decode", "encode", "is_special"]

SAFE_INTEGER = 2**53 - 1

Annotation: TypeAlias = "list[Any] | dict[str, Any]"

_REGEX_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL}


def is_special(value: Any) -> bool:
    """Tell whether a value needs an annotation to survive as itself."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return abs(value) > SAFE_INTEGER
    if isinstance(value, float):
        return not math.isfinite(value)
    if isinstance(value, dict):
        return not all(isinstance(key, str) for key in value)
    return isinstance(value, datetime | set | frozenset | re.Pattern | BaseException)


def encode(value: Any) -> str:
    """Return superjson text of a value made of JSON values and the special ones."""
    plain, annotation = _flatten(value)
    document: dict[str, Any] = {"json": plain}
    if annotation is not None:
        document["meta"] = {"values": annotation}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def decode(text: str) -> Any:
    """Return the value of superjson text; ``undefined`` becomes ``None``."""
    document = json.loads(text)
    value = document.get("json")
    meta = document.get("meta") or {}
    if "values" in meta:
        value = _revive_tree(value, meta["values"])
    if "referentialEqualities" in meta:
        value = _share(value, meta["referentialEqualities"])
    return value


def _flatten(value: Any) -> tuple[Any, Annotation | None]:
    """Return the plain value and its annotation."""
    kind = _kind(value)
    if kind == "map":
        return _with_children(["map"], [[k, v] for k, v in value.items()])
    if kind == "set":
        return _with_children(["set"], list(value))
    if kind is not None:
        return _SCALARS[kind](value), [kind]
    if isinstance(value, dict):
        return _children(value.items(), dict)
    if isinstance(value, list | tuple):
        return _children(((str(i), v) for i, v in enumerate(value)), _values)
    return value, None


def _kind(value: Any) -> str | None:
    if not is_special(value):
        return None
    for types, name in _KINDS:
        if isinstance(value, types):
            return name
    return None


_KINDS: tuple[tuple[Any, str], ...] = (
    (datetime, "Date"),
    ((set, frozenset), "set"),
    (dict, "map"),
    (int, "bigint"),
    (float, "number"),
    (re.Pattern, "regexp"),
    (BaseException, "Error"),
)


def _date(value: datetime) -> str:
    aware = value if value.tzinfo else value.astimezone()
    return aware.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _regexp(value: re.Pattern[str]) -> str:
    flags = "".join(letter for letter, flag in _REGEX_FLAGS.items() if value.flags & flag)
    return f"/{value.pattern}/{flags}"


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "Date": _date,
    "bigint": str,
    "number": _number,
    "regexp": _regexp,
    "Error": lambda error: {"name": type(error).__name__, "message": str(error)},
}


def _values(pairs: Iterable[tuple[str, Any]]) -> list[Any]:
    return [value for _, value in pairs]


def _children(
    pairs: Iterable[tuple[str, Any]], build: Callable[[list[tuple[str, Any]]], Any]
) -> tuple[Any, dict[str, Any] | None]:
    plain: list[tuple[str, Any]] = []
    annotations: dict[str, Any] = {}
    for key, value in pairs:
        flat, annotation = _flatten(value)
        plain.append((key, flat))
        annotations |= _placed(_escape(key), annotation)
    return build(plain), annotations or None


def _placed(key: str, annotation: Annotation | None) -> dict[str, Any]:
    """Put a child's annotation under its key: a typed child by itself, an untyped one by its paths."""
    if annotation is None:
        return {}
    if isinstance(annotation, dict):
        return {f"{key}.{path}": inner for path, inner in annotation.items()}
    return {key: annotation}


def _with_children(kind: list[Any], items: list[Any]) -> tuple[Any, list[Any]]:
    plain, annotations = _flatten(items)
    return plain, [*kind, annotations] if annotations else kind


def _escape(key: str) -> str:
    return key.replace("\\", "\\\\").replace(".", "\\.")


def _path(text: str) -> list[str]:
    parts = [""]
    letters: Iterator[str] = iter(text)
    for letter in letters:
        if letter == "\\":
            parts[-1] += next(letters, "")
        elif letter == ".":
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _revive_tree(value: Any, annotation: Annotation) -> Any:
    if isinstance(annotation, list):
        return _revive(value, annotation)
    for path, inner in annotation.items():
        value = _replace(value, _path(path), partial(_revive_tree, annotation=inner))
    return value


def _revive(value: Any, annotation: list[Any]) -> Any:
    """``[type]`` or ``[type, children]``; ``[[type], children]`` is the older spelling."""
    kind, *rest = annotation
    if isinstance(kind, list):
        kind = kind[0]
    if rest and isinstance(rest[0], dict):
        value = _revive_tree(value, rest[0])
    revive = _REVIVERS.get(kind)
    return value if revive is None else revive(value)


def _replace(value: Any, path: list[str], change: Callable[[Any], Any]) -> Any:
    if not path:
        return change(value)
    head, *rest = path
    if isinstance(value, list):
        value[int(head)] = _replace(value[int(head)], rest, change)
    elif isinstance(value, dict) and head in value:
        value[head] = _replace(value[head], rest, change)
    return value


def _read_regexp(text: str) -> re.Pattern[str]:
    pattern, _, letters = text[1:].rpartition("/")
    flags = re.RegexFlag(0)
    for letter in letters:
        flags |= _REGEX_FLAGS.get(letter, re.RegexFlag(0))
    return re.compile(pattern, flags)


def _read_map(pairs: list[list[Any]]) -> dict[Any, Any]:
    return {_hashable(key): value for key, value in pairs}


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_hashable(item) for item in value)
    return json.dumps(value) if isinstance(value, dict) else value


_REVIVERS: dict[str, Callable[[Any], Any]] = {
    "Date": datetime.fromisoformat,
    "set": lambda items: {_hashable(item) for item in items},
    "map": _read_map,
    "bigint": int,
    "number": float,
    "regexp": _read_regexp,
    "undefined": lambda _: None,
}


def _share(value: Any, equalities: Any) -> Any:
    """Make paths that were one object one object again."""
    groups = equalities if isinstance(equalities, list) else [equalities]
    for group in groups:
        if isinstance(group, list):
            for path in group:
                value = _replace(value, _path(path), partial(_instead, value))
        else:
            for source, targets in group.items():
                shared = _look_up(value, _path(source))
                for path in targets:
                    value = _replace(value, _path(path), partial(_instead, shared))
    return value


def _instead(replacement: Any, _: Any) -> Any:
    return replacement


def _look_up(value: Any, path: list[str]) -> Any:
    for part in path:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value
