"""Hiding secrets in texts by their values, however they came to be written there.

A value is found as it is, and as JSON, Python or a URL spells it. A line of a value with several lines is
found by itself, and so is a piece at the end or the beginning of a line, where a value was cut in two. What
is shorter than six characters is left alone: it would be found everywhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

__all__ = ["MASK", "Hidden", "Redactor", "without_keys"]

MASK = "<redacted>"

_SHORTEST = 6
_KEY = re.compile(r"\btr_[a-z]{2,10}_[A-Za-z0-9]{20,}")
"""How keys and tokens of the platform look."""


class Redactor:
    """Hides the same values in many texts."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        self.values = frozenset(values)
        pieces = {piece for value in self.values for piece in _pieces(value)}
        self._cut = sorted(pieces, key=len, reverse=True)
        spelled = {spelling for piece in pieces for spelling in _spellings(piece)}
        self._whole = sorted(spelled, key=len, reverse=True)

    def __bool__(self) -> bool:
        """Whether there is anything to hide."""
        return bool(self._whole)

    def text(self, text: str) -> str:
        """Return a text without the values."""
        for value in self._whole:
            if value in text:
                text = text.replace(value, MASK)
        return text

    def line(self, line: str) -> str:
        """Return a line without the values, and without what of a value was cut off at its ends."""
        line = self.text(line)
        for value in self._cut:
            line = _without_end(_without_beginning(line, value), value)
        bare = line.strip()
        if len(bare) >= _SHORTEST and any(bare in value for value in self._cut):
            return MASK
        return line

    def data(self, data: Any) -> Any:
        """Return data that JSON can hold without the values, in keys and numbers too."""
        match data:
            case str():
                return self.text(data)
            case dict():
                return {self.text(str(key)): self.data(value) for key, value in data.items()}
            case list() | tuple():
                return [self.data(value) for value in data]
            case bool() | None:
                return data
            case _:
                return MASK if self.text(str(data)) != str(data) else data

    def json(self, text: str) -> str:
        """Return a JSON text without the values; it stays JSON."""
        if self.text(text) == text:
            return text
        return json.dumps(self.data(json.loads(text)), ensure_ascii=False)


class Hidden:
    """The secrets that a process has come to know, for what it writes about itself."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._redactor: Redactor | None = None

    def add(self, value: str) -> None:
        """Hide a value from now on."""
        if value not in self._values:
            self._values.add(value)
            self._redactor = None

    def text(self, text: str) -> str:
        """Return a text without the values, nor anything that looks like a key of the platform."""
        redactor = self._redactor
        if redactor is None:
            redactor = self._redactor = Redactor(self._values.copy())
        return redactor.text(without_keys(text))


def without_keys(text: str) -> str:
    """Return a text without anything that looks like a key of the platform."""
    return _KEY.sub(MASK, text)


def _pieces(value: str) -> Iterator[str]:
    """Yield a value and, if it has several, its lines."""
    for piece in {value, *(line.strip() for line in value.splitlines())}:
        if len(piece) >= _SHORTEST:
            yield piece


def _spellings(value: str) -> Iterator[str]:
    yield value
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield quote(value, safe="")


def _without_end(line: str, value: str) -> str:
    """Hide the beginning of a value where the line ends with it."""
    head = value[:_SHORTEST]
    at = line.find(head, max(0, len(line) - len(value) + 1))
    while at >= 0:
        if value.startswith(line[at:]):
            return line[:at] + MASK
        at = line.find(head, at + 1)
    return line


def _without_beginning(line: str, value: str) -> str:
    """Hide the end of a value where the line begins with it."""
    tail = value[-_SHORTEST:]
    at = line.rfind(tail, 0, len(value) - 1)
    while at >= 0:
        end = at + _SHORTEST
        if value.endswith(line[:end]):
            return MASK + line[end:]
        at = line.rfind(tail, 0, end - 1)
    return line
